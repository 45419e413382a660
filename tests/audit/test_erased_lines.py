"""Lines of an audit log lose their content while a server writes on, and the chain holds with the erasure's word."""

from __future__ import annotations

import json
from pathlib import Path

from plimsoll.audit.files import files_of
from plimsoll.audit.reading import verify_files
from plimsoll.engine.erasing.audit_logs import erase_lines
from plimsoll.signing.checkpoints import prepare_key
from plimsoll.signing.keys import KeyRing
from plimsoll.subjects.identity import Subject
from plimsoll.telemetry.audit_file import AuditFile

PERSON = "holder-4711"


def line(number: int, user: str) -> dict[str, object]:
    return {
        "at": "2026-01-01T00:00:00Z",
        "event": "inference",
        "who": {"user": user},
        "id": f"r{number}",
        "status": 200,
    }


def test_a_server_writes_on_behind_erased_lines_and_the_log_verifies(tmp_path: Path) -> None:
    log = tmp_path / "triage/audit.jsonl"
    log.parent.mkdir()
    prepare_key(tmp_path / "keys", "triage", KeyRing(tmp_path / "ring"))
    server = AuditFile(str(log), key=str(tmp_path / "keys"))
    erased = []
    for begin, last in ((0, PERSON), (10, "other"), (20, PERSON)):
        server.write([line(begin + number, PERSON if number == 3 else "other") for number in range(9)])
        server.write([line(begin + 9, last)])
        erased += erase_lines(log, Subject(PERSON), frozenset(), "e1")
    server.write([line(99, "other")])
    server.close()
    content = log.read_text()
    assert PERSON not in content
    assert len(erased) == 5
    values = [json.loads(each) for each in content.splitlines()]
    assert [each["erasure"] for each in values if each["event"] == "erased"] == ["e1"] * 5
    verified = verify_files(files_of(log), "triage", None, erased=erased)
    assert (verified.findings, verified.erased, verified.calls) == ([], 5, 31)
    without = verify_files(files_of(log), "triage", None)
    assert without.findings[0].kind == "changed"
    forged = content.replace('"r20"', '"r21"').encode()
    log.write_bytes(forged)
    assert verify_files(files_of(log), "triage", None, erased=erased).findings[0].kind == "changed"
