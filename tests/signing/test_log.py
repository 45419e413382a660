"""Everything that a ring signs is in its log first; whatever is done to the log is found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plimsoll.errors import FileError, ModelRefused, TargetError
from plimsoll.signing.claims import claim_of
from plimsoll.signing.dsse import PAYLOAD_TYPE, PREDICATE, open_envelope, sign, sign_payload
from plimsoll.signing.keys import KeyRing
from plimsoll.signing.log import SigningLog
from plimsoll.signing.log_reading import Witness, check_proof, noted_from, prove_entry, prove_growth, verify_log

DIGEST = "sha256:" + "ab" * 32
COUNT = 7


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    ring = KeyRing(tmp_path_factory.mktemp("ring") / "keys")
    for number in range(1, COUNT + 1):
        sign(f"triage@{number}", DIGEST, {}, ring)
    return ring


@pytest.fixture
def keys(signed: KeyRing, tmp_path: Path) -> KeyRing:
    shutil.copytree(signed.directory, tmp_path / "keys")
    return KeyRing(tmp_path / "keys")


def log_of(ring: KeyRing) -> SigningLog:
    assert ring.log is not None
    return ring.log


def test_each_signature_has_an_entry_with_the_digest_of_what_was_signed(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys")
    envelope = sign("triage@2", DIGEST, {}, ring)

    log = verify_log(ring)
    beginning, entry = log.read.entries

    opened = open_envelope(envelope)
    assert beginning.log == (log.head.log if log.head else None)
    assert (entry.key, entry.kind, entry.names, entry.predicate) == (opened.key_id, "models", ("triage@2",), PREDICATE)
    assert entry.statement == claim_of(PAYLOAD_TYPE, opened.payload).digest
    assert (log.findings, log.pending, log.head.size if log.head else 0) == ((), 0, 2)


def test_a_ring_that_has_signed_nothing_has_no_log(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="nothing was signed here yet"):
        verify_log(KeyRing(tmp_path / "keys"))


@given(at=st.integers(0, 1 << 20), bit=st.integers(0, 7))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_flipped_bit_of_the_entries_is_found(signed: KeyRing, tmp_path: Path, at: int, bit: int) -> None:
    ring = copied(signed, tmp_path)
    content = bytearray(log_of(ring).entries.read_bytes())
    content[at % len(content)] ^= 1 << bit
    log_of(ring).entries.write_bytes(content)

    assert verify_log(ring).findings


@given(data=st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lines_that_are_dropped_doubled_reordered_or_cut_are_found(
    signed: KeyRing, tmp_path: Path, data: st.DataObject
) -> None:
    ring = copied(signed, tmp_path)
    lines = log_of(ring).entries.read_bytes().splitlines(keepends=True)
    at = data.draw(st.integers(0, len(lines) - 2))
    changed = {
        "drop": [*lines[:at], *lines[at + 1 :]],
        "double": [*lines[: at + 1], lines[at], *lines[at + 1 :]],
        "swap": [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]],
        "cut": lines[: at + 1],
        "torn": [*lines[:-1], lines[-1][: 1 + at]],
    }
    log_of(ring).entries.write_bytes(b"".join(changed[data.draw(st.sampled_from(sorted(changed)))]))

    findings = verify_log(ring).findings
    assert findings
    assert findings[0].place.startswith(f"{log_of(ring).entries}:")


def copied(signed: KeyRing, tmp_path: Path) -> KeyRing:
    shutil.rmtree(tmp_path / "copy", ignore_errors=True)
    shutil.copytree(signed.directory, tmp_path / "copy")
    return KeyRing(tmp_path / "copy")


def test_the_first_wrong_line_is_named_by_file_and_line(keys: KeyRing) -> None:
    entries = log_of(keys).entries
    lines = entries.read_bytes().splitlines(keepends=True)
    entries.write_bytes(b"".join([*lines[:3], lines[3].replace(b"triage@3", b"triage@9"), *lines[4:]]))

    (finding, *_) = verify_log(keys).findings
    assert (finding.place, finding.kind) == (f"{entries}:5", "changed")
    assert "the line before" in finding.text


def test_a_head_that_another_key_signed_or_somebody_altered_does_not_count(keys: KeyRing, tmp_path: Path) -> None:
    other = KeyRing(tmp_path / "other")
    sign("triage@1", DIGEST, {}, other)
    head = log_of(keys).head
    whole = head.read_bytes()

    head.write_bytes(log_of(other).head.read_bytes())
    assert [each.kind for each in verify_log(keys).findings] == ["head"]
    head.write_bytes(whole.replace(b'"sig":"', b'"sig":"A', 1))
    assert [each.kind for each in verify_log(keys).findings] == ["head"]
    with pytest.raises(TargetError, match="signed head of the log does not count"):
        sign("triage@8", DIGEST, {}, keys)
    head.unlink()
    assert [each.kind for each in verify_log(keys).findings] == ["head"]


def test_nothing_is_signed_onto_a_log_that_was_cut(keys: KeyRing) -> None:
    entries = log_of(keys).entries
    entries.write_bytes(entries.read_bytes()[:-40])

    with pytest.raises(TargetError, match=r"was cut(.|\n)*audit log --verify"):
        sign("triage@8", DIGEST, {}, keys)


def test_what_a_killed_process_left_is_told_and_then_removed(keys: KeyRing) -> None:
    log = log_of(keys)
    with log.entries.open("ab") as file:
        file.write(b'{"n":99}\n{"torn')
    before = verify_log(keys)
    assert (before.findings, before.pending) == ((), 2)

    sign("triage@8", DIGEST, {}, keys)
    after = verify_log(keys)
    assert (after.findings, after.pending, after.read.entries[-1].names) == ((), 0, ("triage@8",))


SIGNER = """
import sys
from pathlib import Path
from plimsoll.signing.dsse import sign
from plimsoll.signing.keys import KeyRing
ring = KeyRing(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    sign(f"{sys.argv[2]}@{number}", "sha256:" + "ab" * 32, {}, ring)
    print(number, flush=True)
"""


@pytest.mark.slow
def test_the_log_is_whole_after_processes_that_sign_at_once_were_killed(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys")
    said: dict[str, int] = {}
    processes = {
        name: subprocess.Popen([sys.executable, "-c", SIGNER, str(ring.directory), name], stdout=subprocess.PIPE)
        for name in ("one", "two")
    }
    for process in processes.values():
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
    for name, process in processes.items():
        process.kill()
        said[name] = 5 + len(process.communicate()[0].splitlines())

    log = verify_log(ring)
    assert log.findings == ()
    for name, count in said.items():
        logged = {each.names[0] for each in log.read.entries if each.names}
        assert {f"{name}@{number}" for number in range(1, count + 1)} <= logged
    sign("after@1", DIGEST, {}, ring)
    assert verify_log(ring).findings == ()


def test_a_witness_notices_a_log_that_was_rewritten_and_signed_anew(keys: KeyRing, tmp_path: Path) -> None:
    witness = Witness(tmp_path / "elsewhere" / "heads")
    first = verify_log(keys)
    assert witness.compare(first.read) is None
    assert first.head is not None
    assert witness.note(first.head)
    assert not witness.note(first.head)
    sign("triage@8", DIGEST, {}, keys)
    assert witness.compare(verify_log(keys).read) is None

    shutil.rmtree(log_of(keys).entries.parent)
    for number in range(1, 12):
        sign(f"other@{number}", DIGEST, {}, keys)
    rewritten = verify_log(keys)
    assert rewritten.findings == ()
    found = witness.compare(rewritten.read)
    assert found is not None
    assert (found.kind, "stood here" in found.text) == ("rewritten", True)


def test_a_log_that_was_set_back_to_an_earlier_head_is_noticed(keys: KeyRing, tmp_path: Path) -> None:
    log = log_of(keys)
    shutil.copytree(log.entries.parent, tmp_path / "before")
    sign("triage@8", DIGEST, {}, keys)
    witness = Witness(tmp_path / "heads")
    head = verify_log(keys).head
    assert head is not None
    witness.note(head)
    shutil.rmtree(log.entries.parent)
    shutil.copytree(tmp_path / "before", log.entries.parent)
    assert (found := witness.compare(verify_log(keys).read)) is not None
    assert found.kind == "cut"

    sign("forged@8", DIGEST, {}, keys)
    assert (found := witness.compare(verify_log(keys).read)) is not None
    assert found.kind == "rewritten"


def test_a_witness_that_is_no_file_of_heads_is_refused(tmp_path: Path) -> None:
    (tmp_path / "heads").write_text("{}\n")
    with pytest.raises(FileError, match="no head of a log") as refused:
        Witness(tmp_path / "heads").heads()
    assert refused.value.where == f"{tmp_path / 'heads'}:1"


def test_an_entry_is_proved_to_somebody_who_has_the_key_alone(keys: KeyRing, tmp_path: Path) -> None:
    log = verify_log(keys)
    proof = msgspec.json.encode(prove_entry(log, log_of(keys).entries, "triage@3"))
    other = KeyRing(tmp_path / "other")
    shutil.copytree(keys.trusted, other.trusted)

    found, head = check_proof(proof, other)
    assert (found.index, "triage@3" in found.entry, head) == (3, True, log.head)
    with pytest.raises(ModelRefused, match="not in the log"):
        check_proof(proof.replace(b"triage@3", b"triage@4"), other)
    with pytest.raises(ModelRefused, match="not trusted here"):
        check_proof(proof, KeyRing(tmp_path / "stranger"))
    with pytest.raises(FileError, match="there is no entry 99"):
        prove_entry(log, log_of(keys).entries, "99")


def test_that_a_log_only_grew_is_proved_from_a_head_that_was_noted(keys: KeyRing) -> None:
    early = verify_log(keys).head
    assert early is not None
    sign("triage@8", DIGEST, {}, keys)
    proof = msgspec.json.encode(prove_growth(verify_log(keys), early.size))

    _, head = check_proof(proof, keys, noted_from(early.text()))
    assert head.size == early.size + 1
    with pytest.raises(ModelRefused, match="held against a head that was noted"):
        check_proof(proof, keys, noted_from(f"{early.log}:{early.size}:{'0' * 64}"))
    forged = msgspec.json.decode(proof) | {"root": "0" * 64}
    with pytest.raises(ModelRefused, match="did not begin"):
        check_proof(msgspec.json.encode(forged), keys, noted_from(f"{early.log}:{early.size}:{'0' * 64}"))


@pytest.mark.parametrize("text", ["", "a:b:c", "a:1:zz", f"a:-1:{'0' * 64}", f":1:{'0' * 64}"])
def test_a_text_that_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(FileError, match="no head of a log"):
        noted_from(text)


def test_what_cannot_be_logged_is_not_signed(keys: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int, _content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(TargetError, match=r"cannot be written: No space left(.|\n)*not signed"):
        sign_payload(b"{}", keys)
