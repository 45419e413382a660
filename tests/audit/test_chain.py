"""An audit log that was written by a server, and what is found when somebody has altered it."""

from __future__ import annotations

import io
import json
import os
import random
import resource
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from plimsoll.audit.files import files_of, read_head
from plimsoll.audit.reading import verify_files
from plimsoll.audit.verification import Place, Verified, verify
from plimsoll.signing.checkpoints import KEY, CertifiedKeys, prepare_key
from plimsoll.signing.keys import KeyRing
from plimsoll.telemetry import audit_file, json_lines
from plimsoll.telemetry.audit_file import AuditFile

CALLS = 60


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The certified key of a service named `triage`."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    prepare_key(tmp_path / "keys", "triage", KeyRing.default())
    return tmp_path / "keys"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "triage").mkdir()
    return tmp_path / "triage/audit.jsonl"


def call(number: int) -> dict[str, object]:
    return {"at": f"2026-01-01T00:00:{number % 60:02}+00:00", "event": "inference", "number": number, "status": 200}


def write(log: Path, keys: Path, numbers: Sequence[int]) -> None:
    """Write calls through two processes' worth of files, in turns and small batches."""
    workers = [AuditFile(str(log), key=str(keys)) for _ in range(2)]
    for number in numbers:
        workers[number % 2].write([call(number)])
    for worker in workers:
        worker.close()


def verified(log: Path, keys: Path) -> Verified:
    return verify_files(files_of(log), "triage", keys)


def first(found: Verified) -> tuple[str, str, int]:
    finding = found.findings[0]
    return finding.kind, Path(finding.place.file).name, finding.place.line


def test_several_processes_write_one_chain_that_is_signed_to_its_end(log: Path, keys: Path) -> None:
    write(log, keys, range(CALLS))
    found = verified(log, keys)
    assert found.findings == []
    assert found.calls == CALLS
    assert found.signed == found.lines
    assert not any("not signed" in note for note in found.notes)


def test_a_server_that_starts_again_goes_on_with_the_chain(log: Path, keys: Path) -> None:
    write(log, keys, range(5))
    write(log, keys, range(5, 10))
    found = verified(log, keys)
    assert (found.findings, found.calls) == ([], 10)


def placed(lines: list[bytes]) -> Iterator[tuple[Place, bytes]]:
    for number, line in enumerate(lines, 1):
        yield Place(file="audit.jsonl", line=number), line


def flip(lines: list[bytes], chance: random.Random) -> None:
    place = chance.randrange(len(lines))
    line = bytearray(lines[place])
    line[chance.randrange(len(line))] ^= 1 << chance.randrange(8)
    lines[place] = bytes(line)


def remove(lines: list[bytes], chance: random.Random) -> None:
    begin = chance.randrange(len(lines))
    del lines[begin : begin + chance.randint(1, 3)]


def swap(lines: list[bytes], chance: random.Random) -> None:
    one, other = chance.sample(range(len(lines)), 2)
    lines[one], lines[other] = lines[other], lines[one]


def repeat(lines: list[bytes], chance: random.Random) -> None:
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))


def test_a_thousand_flips_removals_swaps_and_repeats_are_all_found(log: Path, keys: Path) -> None:
    write(log, keys, range(20))
    lines = log.read_bytes().splitlines(keepends=True)
    signatures, head = CertifiedKeys(keys, "triage", KeyRing.default()), read_head(log)
    assert head is not None
    chance = random.Random(7)
    ways: list[Callable[[list[bytes], random.Random], None]] = [flip, remove, swap, repeat]
    missed = []
    for number in range(1000):
        altered = list(lines)
        ways[number % len(ways)](altered, chance)
        read = io.BytesIO(b"".join(altered)).readlines()
        found = verify(partial(placed, read), signatures=signatures, head=head.link)
        if not found.findings:
            missed.append((number, b"".join(altered)))
    assert missed == []


@pytest.mark.parametrize(
    ("alter", "expected"),
    [
        (lambda lines: [*lines[:4], lines[4].replace(b'"status":200', b'"status":201'), *lines[5:]], ("changed", 5)),
        (lambda lines: [*lines[:4], *lines[6:]], ("removed", 5)),
        (lambda lines: [*lines[:4], lines[5], lines[4], *lines[6:]], ("reordered", 5)),
        (lambda lines: lines[2:], ("cut", 1)),
        (lambda lines: lines[:-2], ("cut", -2)),
        (lambda lines: [*lines[:4], b'{"event":"inference"}\n', *lines[4:]], ("changed", 5)),
    ],
    ids=["changed", "removed", "reordered", "cut at its beginning", "cut at its end", "put in"],
)
def test_the_first_wrong_line_is_named_with_what_happened_to_it(
    log: Path, keys: Path, alter: Callable[[list[bytes]], list[bytes]], expected: tuple[str, int]
) -> None:
    write(log, keys, range(10))
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(alter(lines)))
    kind, place = expected
    assert first(verified(log, keys)) == (kind, "audit.jsonl", place if place > 0 else len(lines) + place)


def test_who_writes_the_chain_anew_without_the_key_is_found_by_its_checkpoints(
    log: Path, keys: Path, tmp_path: Path
) -> None:
    write(log, keys, range(10))
    log.unlink()
    log.with_name("audit.jsonl.head").unlink()
    other = tmp_path / "other"
    prepare_key(other, "another-service", KeyRing.default())
    write(log, other, range(9))
    found = verified(log, keys)
    assert found.findings[0].kind == "changed"
    assert "no certified key" in found.findings[0].text


def test_a_certificate_of_another_service_certifies_nothing(log: Path, keys: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    prepare_key(other, "another-service", KeyRing.default())
    for path in (other / "certificates").iterdir():
        path.rename(keys / "certificates" / path.name)
    (other / KEY).replace(keys / KEY)
    write(log, keys, range(3))
    found = verified(log, keys)
    assert "no certified key" in found.findings[0].text
    assert any("not for the audit log of service triage" in note for note in found.notes)


def test_a_line_that_was_torn_by_a_kill_is_told_and_the_chain_goes_on(log: Path, keys: Path) -> None:
    write(log, keys, range(5))
    with log.open("ab") as file:
        file.write(b'{"at":"2026-01-01T00:00:05+00:00","event":"infer')
    write(log, keys, range(5, 8))
    found = verified(log, keys)
    assert (found.findings, found.calls) == ([], 8)
    assert any("torn" in note for note in found.notes)


def test_lines_that_were_written_before_a_kill_and_are_not_in_the_head_are_kept(log: Path, keys: Path) -> None:
    head = log.with_name("audit.jsonl.head")
    write(log, keys, range(4))
    before = head.read_bytes()
    write(log, keys, range(4, 6))
    head.write_bytes(before)
    write(log, keys, range(6, 9))
    found = verified(log, keys)
    assert (found.findings, found.calls) == ([], 9)


def test_a_chain_goes_over_rotated_files_and_says_what_was_rotated_away(
    log: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "MOST_BYTES", 3000)
    monkeypatch.setattr(json_lines, "KEPT", 2)
    write(log, keys, range(CALLS))
    found = verified(log, keys)
    assert found.findings == []
    assert any("rotated away" in note for note in found.notes)
    assert found.calls < CALLS

    (log.parent / "audit.jsonl.1").unlink()
    kind, name, line = first(verified(log, keys))
    assert (kind, name, line) == ("removed", "audit.jsonl", 1)


def test_a_log_that_was_moved_away_by_another_program_goes_on_in_a_new_file(log: Path, keys: Path) -> None:
    worker = AuditFile(str(log), key=str(keys))
    worker.write([call(0)])
    log.rename(log.with_name("audit.jsonl.1"))
    worker.write([call(1)])
    worker.close()
    found = verified(log, keys)
    assert (found.findings, found.calls) == ([], 2)


@pytest.fixture
def limited() -> Iterator[None]:
    """Takes the limit on the size of files away again."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def limit(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize("full", ["stop", "continue"])
def test_a_full_disk_stops_the_log_or_is_counted_in_it(
    log: Path, keys: Path, full: audit_file.WhenFull, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "MOST_PENDING", 300)
    worker = AuditFile(str(log), full=full, key=str(keys))
    worker.write([call(0)])
    limit(log.stat().st_size + 20)
    for number in range(1, 20):
        worker.write([call(number)])
    while_full = worker.problem
    limit(resource.RLIM_INFINITY)
    worker.close()

    found = verified(log, keys)
    assert "File too large" in while_full
    assert found.findings == []
    assert found.calls + found.lost == 20
    assert bool(found.lost) is (full == "continue")


def test_a_noted_head_finds_a_log_that_was_replaced_with_all_of_its_keys(log: Path, keys: Path) -> None:
    write(log, keys, range(5))
    noted = verified(log, keys).head
    assert noted is not None
    log.unlink()
    log.with_name("audit.jsonl.head").unlink()
    write(log, keys, range(5))
    assert verified(log, keys).findings == []
    found = verify_files(files_of(log), "triage", keys, expected=[noted])
    assert [each.kind for each in found.findings] == ["cut"]


def test_a_log_can_be_read_by_its_owner_alone(log: Path, keys: Path) -> None:
    before = os.umask(0)
    write(log, keys, range(2))
    os.umask(before)
    for path in (log, log.with_name("audit.jsonl.head"), keys / KEY):
        assert path.stat().st_mode & 0o077 == 0
    assert json.loads(log.read_text().splitlines()[1])["event"] == "inference"
