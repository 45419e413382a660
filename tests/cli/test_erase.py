"""`plimsoll erase`: a person is nowhere afterwards, others are untouched, and a certificate says so."""

from __future__ import annotations

import gzip
import io
import json
import signal
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plimsoll.audit.chain import Link, append_all
from plimsoll.cli.main import main
from plimsoll.engine.erasing.acts import Acts
from plimsoll.indexes.changes import Change, Journal, changes_in
from plimsoll.state.directory import StateDirectory
from plimsoll.state.lock import RunLock

from .conftest import write
from .ended import Ended, one_object

PERSON = "holder-4711"
OTHER = "holder-47110"
FILE = """\
  datasets:
    people: {source: people.csv, subject: card}
    features: {run: python prepare.py, inputs: [people], outputs: [rows.csv, rows.csv.gz, rows.npz]}
  models:
    m:
      train: {run: python train.py, inputs: [features]}
"""
PREPARE = """\
import gzip, os, pathlib, zipfile
output = pathlib.Path(os.environ["PLIMSOLL_OUTPUT"])
rows = pathlib.Path(os.environ["PLIMSOLL_INPUT_PEOPLE"]).read_bytes()
(output / "rows.csv").write_bytes(rows)
(output / "rows.csv.gz").write_bytes(gzip.compress(rows))
with zipfile.ZipFile(output / "rows.npz", "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("ids.npy", rows.decode().encode("utf-32-le"))
"""
TRAIN = """\
import os, pathlib
output = pathlib.Path(os.environ["PLIMSOLL_OUTPUT"])
rows = (pathlib.Path(os.environ["PLIMSOLL_INPUT_FEATURES"]) / "rows.csv").read_text()
print("trained on", rows, flush=True)
(output / "model.onnx").write_text("m" * len(rows))
"""


@pytest.fixture
def plimsoll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """The command in this process, in the application's directory, with keys and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def plimsoll(*arguments: str, given: bytes = b"") -> Ended:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["plimsoll", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        with pytest.raises(SystemExit) as caught:
            main()
        told = capsys.readouterr()
        return Ended(int(caught.value.code or 0), told.out, told.err)

    return plimsoll


def people(directory: Path, *names: str) -> None:
    (directory / "people.csv").write_text("card,amount\n" + "".join(f"{name},{n}\n" for n, name in enumerate(names)))


def texts(root: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file below a directory, and what is packed in it."""
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            yield path, path.name.encode() + b"\n" + content
            if content.startswith(b"\x1f\x8b"):
                yield path, gzip.decompress(content)
            if content.startswith(b"PK"):
                with zipfile.ZipFile(path) as archive:
                    yield from ((path, archive.read(name)) for name in archive.namelist())


def holding(root: Path, name: str) -> set[str]:
    """The files that have a name, in any encoding, and not as the begin of another's."""
    needles = [name.encode(), name.encode("utf-32-le")]
    others = [OTHER.encode(), OTHER.encode("utf-32-le")]
    found = set()
    for path, content in texts(root):
        for needle, other in zip(needles, others, strict=True):
            if needle in content.replace(other, b""):
                found.add(str(path.relative_to(root)))
    return found


@pytest.mark.slow
def test_a_person_is_nowhere_afterwards_and_the_next_plan_says_why_it_trains(
    tmp_path: Path, plimsoll: Callable[..., Ended]
) -> None:
    write(tmp_path, FILE, prepare_py=PREPARE, train_py=TRAIN)
    people(tmp_path, PERSON, OTHER, PERSON)
    assert plimsoll("run").status == 0
    before = holding(tmp_path, PERSON)
    assert any(each.endswith(".log") for each in before)

    dry = plimsoll("erase", "--subject", PERSON, "--dry-run", "--json")
    told = one_object(dry)
    assert (dry.status, told["erased"], told["complete"]) == (1, False, False)
    (source,) = [each for each in told["findings"] if each["place"] == "source"]
    assert (source["how"], source["what"]) == ("kept", "2 rows")
    assert "plimsoll.yaml:6:" in source["why"]
    assert [(each["version"], each["certain"]) for each in told["models"]] == [("m@1", True)]
    assert holding(tmp_path, PERSON) == before
    table = plimsoll("erase", "--subject", PERSON, "--dry-run", "--sources")
    assert (table.status, "nothing was changed" in table.out) == (0, True)

    partly = plimsoll("erase", "--subject", PERSON)
    assert (partly.status, holding(tmp_path, PERSON)) == (1, {"people.csv"})
    assert "--sources takes the rows out of it" in partly.out
    ended = plimsoll("erase", "--subject", PERSON, "--sources")
    assert ended.status == 0, ended.out + ended.err
    assert holding(tmp_path, PERSON) == set()
    assert (tmp_path / "people.csv").read_text() == f"card,amount\n{OTHER},1\n"

    certificate = ended.out.rsplit("certificate: ", 1)[1].strip()
    planned = plimsoll("plan")
    assert "data changed: people" in planned.out
    assert "train/m" in planned.out
    assert "rows of a person were erased on" in planned.out
    assert plimsoll("run").status == 0
    verified = plimsoll("erase", "--verify", certificate)
    assert (verified.status, "nothing of the person was found" in verified.out) == (0, True), verified.out
    assert plimsoll("erase", "--verify", certificate, "--subject", PERSON).status == 0
    other = plimsoll("erase", "--verify", certificate, "--subject", OTHER)
    assert (other.status, "another person" in other.err) == (1, True)
    again = plimsoll("erase", "--subject", PERSON, "--sources")
    assert (again.status, "nothing of the person was found" in again.out) == (0, True), again.out


@pytest.mark.slow
def test_an_erasure_that_was_killed_goes_on_and_signs_what_was_done_before(
    tmp_path: Path, plimsoll: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, FILE, prepare_py=PREPARE, train_py=TRAIN)
    people(tmp_path, PERSON, OTHER)
    assert plimsoll("run").status == 0
    whole, acted = Acts.carry_out, []

    def killed(acts: Acts, finding: object) -> object:
        acted.append(finding)
        if len(acted) == 3:
            raise KeyboardInterrupt
        return whole(acts, finding)  # type: ignore[arg-type]

    monkeypatch.setattr(Acts, "carry_out", killed)
    assert plimsoll("erase", "--subject", PERSON, "--sources").status == 130
    monkeypatch.setattr(Acts, "carry_out", whole)
    ended = plimsoll("erase", "--subject", PERSON, "--sources", "--json")
    told = one_object(ended)
    assert (ended.status, holding(tmp_path, PERSON)) == (0, set())
    assert len(list((tmp_path / ".plimsoll/erasures").glob("*/certificate.dsse.json"))) == 1
    assert {each["place"] for each in told["done"]} >= {"log", "result", "source"}
    assert len({(each["place"], each["name"]) for each in told["done"]}) == len(told["done"]) >= 4


def state_with_logs(directory: Path, *lines: dict[str, object]) -> Path:
    """An application that has run nothing, with the audit log of a service."""
    write(directory, "  datasets:\n    people: {source: people.csv, subject: card}\n")
    people(directory, PERSON, OTHER)
    log = directory / ".plimsoll/logs/triage/audit.jsonl"
    log.parent.mkdir(parents=True)
    StateDirectory(directory).make()
    chained, link = append_all(
        [json.dumps(each, separators=(",", ":")).encode() for each in lines], Link(chain="0" * 16)
    )
    log.write_bytes(b"".join(line + b"\n" for line in chained))
    head = json.dumps({"chain": link.chain, "number": link.number, "digest": link.digest, "size": log.stat().st_size})
    log.with_name("audit.jsonl.head").write_bytes(head.encode().ljust(255) + b"\n")
    return log


def call(**values: object) -> dict[str, object]:
    return {"at": "2026-01-01T00:00:00Z", "event": "inference", "model": "m", "version": "1", "status": 200, **values}


def test_an_audit_log_loses_what_it_says_of_the_person_and_its_chain_holds(
    tmp_path: Path, plimsoll: Callable[..., Ended]
) -> None:
    log = state_with_logs(
        tmp_path,
        call(who={"user": OTHER}),
        call(inputs=[{"name": "card", "data": ["7", "1"]}]),
        call(who={"user": PERSON}),
        call(inputs=[{"name": "amount", "data": ["7"]}]),
    )
    (tmp_path / "people.csv").write_text(f"card\n7\n77\n{PERSON}\n")
    assert plimsoll("audit", "verify", "triage").status == 0
    assert plimsoll("erase", "--subject", "7", "--sources").status == 0
    assert plimsoll("erase", "--subject", PERSON, "--sources").status == 0
    values = [json.loads(line) for line in log.read_text().splitlines()]
    assert [each["event"] for each in values] == ["inference", "erased", "erased", "inference"]
    assert values[1]["status"] == 200
    assert "data" not in log.read_text().splitlines()[1]
    verified = plimsoll("audit", "verify", "triage")
    assert (verified.status, "2 erased" in verified.out) == (0, True), verified.out
    assert (tmp_path / "people.csv").read_text() == "card\n77\n"
    for certificate in (tmp_path / ".plimsoll/erasures").glob("*/certificate.dsse.json"):
        certificate.unlink()
    assert plimsoll("audit", "verify", "triage").status == 1


def test_ids_with_any_characters_are_taken_from_standard_input(tmp_path: Path, plimsoll: Callable[..., Ended]) -> None:
    state_with_logs(tmp_path)
    (tmp_path / "people.csv").write_bytes(b'card\na\0"\n"Zo\xc3\xab ""x"""\nplain\n')
    ended = plimsoll("erase", "--subject", "-", "--sources", given='Zoë "x"\n'.encode())
    assert (ended.status, (tmp_path / "people.csv").read_bytes()) == (0, b'card\na\0"\nplain\n'), ended.err
    assert "not UTF-8" in plimsoll("erase", "--subject", "-", given=b"\xff\n").err
    assert plimsoll("erase", "--subject", " ").status == 2


def test_an_erasure_waits_for_no_run_and_touches_nothing_then(tmp_path: Path, plimsoll: Callable[..., Ended]) -> None:
    state_with_logs(tmp_path)
    lock = RunLock(StateDirectory(tmp_path).lock)
    lock.acquire("r1", "tiny")
    try:
        ended = plimsoll("erase", "--subject", PERSON, "--sources")
    finally:
        lock.release()
    assert (ended.status, "run r1" in ended.err) == (1, True)
    assert PERSON in (tmp_path / "people.csv").read_text()


@pytest.mark.parametrize(
    ("datasets", "said"),
    [
        ("people: {source: people.csv, subject: crd}", ["plimsoll.yaml:6:", "no column 'crd'", "did you mean 'card'"]),
        ("people: {source: people.csv, subject: ''}", ["plimsoll.yaml:6:"]),
        ("people: {source: people.csv}", ["plimsoll.yaml", "no dataset says whose its rows are", "subject: COLUMN"]),
    ],
)
def test_a_file_that_does_not_say_whose_its_rows_are_is_refused(
    tmp_path: Path, plimsoll: Callable[..., Ended], datasets: str, said: list[str]
) -> None:
    write(tmp_path, f"  datasets:\n    {datasets}\n")
    people(tmp_path, PERSON)
    ended = plimsoll("erase", "--subject", PERSON, "--dry-run")
    assert ended.status == 2
    assert all(each in ended.err for each in said), ended.err


def test_a_certificate_that_was_altered_or_is_of_others_is_refused(
    tmp_path: Path, plimsoll: Callable[..., Ended]
) -> None:
    state_with_logs(tmp_path)
    assert plimsoll("erase", "--subject", PERSON, "--sources").status == 0
    (path,) = (tmp_path / ".plimsoll/erasures").glob("*/certificate.dsse.json")
    assert PERSON not in path.read_text()
    people(tmp_path, PERSON)
    found = plimsoll("erase", "--verify", str(path))
    assert (found.status, "1 row" in found.out) == (1, True), found.out
    envelope = json.loads(path.read_text())
    envelope["payload"] = (
        envelope["payload"][:40] + ("A" if envelope["payload"][40] != "A" else "B") + envelope["payload"][41:]
    )
    path.write_text(json.dumps(envelope))
    altered = plimsoll("erase", "--verify", str(path))
    assert (altered.status, "altered" in altered.err) == (1, True), altered.err
    assert plimsoll("erase", "--verify", str(tmp_path / "none.json")).status == 2


def test_rows_and_results_expire_and_the_plan_says_so(tmp_path: Path, plimsoll: Callable[..., Ended]) -> None:
    head = "  datasets:\n    people: {source: people.csv, retention: 30d, purpose: to find fraud"
    write(tmp_path, f"{head}, time: at}}\n")
    (tmp_path / "people.csv").write_text("card,at\n1,2020-01-01\n2,2999-12-31T10:00:00Z\n3,\n4,1577836800000\n")
    planned = plimsoll("plan")
    assert "purpose people: to find fraud" in planned.out
    assert "expired people.csv: 2 rows, older than 30d" in planned.out, planned.out
    assert plimsoll("erase", "--expired").status == 1
    assert plimsoll("erase", "--expired", "--sources", "--dry-run").status == 0
    assert plimsoll("erase", "--expired", "--sources").status == 0
    assert (tmp_path / "people.csv").read_text() == "card,at\n2,2999-12-31T10:00:00Z\n3,\n"
    assert "nothing has expired" in plimsoll("erase", "--expired", "--sources").out
    (tmp_path / "people.csv").write_text("card,at\n1,yesterday\n")
    strange = plimsoll("erase", "--expired", "--sources")
    assert (strange.status, "1 cells of 'at' are no time" in strange.out) == (1, True), strange.out
    write(tmp_path, "  datasets:\n    people: {source: people.csv, time: at}\n")
    assert "`time` is for `retention`" in plimsoll("plan").err
    write(tmp_path, f"{head}, subject: card, retention: 1y}}\n".replace("retention: 30d, ", ""))
    assert "plimsoll.yaml:6:" in plimsoll("plan").err


@pytest.mark.slow
def test_an_export_has_all_rows_of_the_person_and_nobody_elses(tmp_path: Path, plimsoll: Callable[..., Ended]) -> None:
    write(tmp_path, FILE, prepare_py=PREPARE, train_py=TRAIN)
    people(tmp_path, PERSON, OTHER)
    assert plimsoll("run").status == 0
    ended = plimsoll("export", "--subject", PERSON, "--output", "mine")
    assert ended.status == 0, ended.err
    told = json.loads((tmp_path / "mine/person.json").read_text())
    assert told["models"] == ["m@1"]
    (source,) = [each for each in told["places"] if each["place"] == "source"]
    assert source["records"] == [{"card": PERSON, "amount": "0"}]
    rows = [row for each in told["places"] if each["place"] == "result" for row in each["records"]]
    assert rows == [{"card": PERSON, "amount": "0"}] * 2
    assert OTHER not in (tmp_path / "mine/001-source.csv").read_text()
    assert "name another directory" in plimsoll("export", "--subject", PERSON, "--output", "mine").err


INDEXED = """\
  datasets:
    people: {source: people.csv, subject: card}
  indexes:
    notes: {documents: people, text: note}
"""


@pytest.mark.slow
def test_an_index_loses_the_documents_of_the_person_also_those_put_in_later(
    tmp_path: Path, plimsoll: Callable[..., Ended]
) -> None:
    write(tmp_path, INDEXED)
    (tmp_path / "people.csv").write_text(f"card,note\n7,the seal leaks\n77,{OTHER} likes oil\n")
    assert plimsoll("run").status == 0
    Journal(tmp_path / ".plimsoll/changes/notes.jsonl").add(
        [
            Change(id="8", text="put in later", metadata={"card": "7"}),
            Change(id="9", text="of another", metadata={"card": "77"}),
        ]
    )
    assert "leaks" in plimsoll("search", "notes", "seal").out
    ended = plimsoll("erase", "--subject", "7", "--sources")
    assert ended.status == 0, ended.out
    assert "removed: index indexes.notes@1" in ended.out
    assert holding(tmp_path, "the seal leaks") == set()
    assert [*changes_in(tmp_path / ".plimsoll/changes/notes.jsonl")] == ["9"]
    assert plimsoll("run").status == 0
    assert "leaks" not in plimsoll("search", "notes", "seal").out
    assert "likes oil" in plimsoll("search", "notes", "oil").out


@pytest.mark.slow
def test_an_index_that_is_needed_hides_the_documents_and_says_who_needs_it(
    tmp_path: Path, plimsoll: Callable[..., Ended]
) -> None:
    write(tmp_path, INDEXED)
    (tmp_path / "people.csv").write_text("card,note\n7,the seal leaks\n77,oil is low\n")
    assert plimsoll("run").status == 0
    assert plimsoll("models", "indexes.notes@1", "--tag", "best").status == 0
    ended = plimsoll("erase", "--subject", "7", "--sources")
    assert (ended.status, "the tag indexes.notes:best" in ended.out) == (1, True), ended.out
    assert "hidden: index notes" in ended.out
    assert changes_in(tmp_path / ".plimsoll/changes/notes.jsonl")["1"].deleted
