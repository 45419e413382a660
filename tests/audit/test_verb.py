"""`plimsoll audit` over the log of a service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from plimsoll.cli.main import plimsoll
from plimsoll.signing.checkpoints import prepare_key
from plimsoll.signing.keys import KeyRing
from plimsoll.state.directory import StateDirectory
from plimsoll.telemetry.audit_file import AuditFile

FILE = "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: a}\nspec: {}\n"
CALLS = [
    {"at": "2026-01-01T10:00:00Z", "event": "inference", "who": {"client": "10.0.0.7", "user": "ada"}, "model": "triage",
     "version": "1", "digest": "sha256:ab", "verdict": "answered", "status": 200, "request_id": "r-1"},
    {"at": "2026-01-01T11:00:00Z", "event": "inference", "who": {"client": "10.0.0.8", "user": None}, "model": "triage",
     "version": "2", "digest": "sha256:cd", "verdict": "refused", "status": 413, "reason": "too|large=\n1"},
    {"at": "2026-01-01T12:00:00Z", "event": "call", "who": {"client": "10.0.0.7", "user": None},
     "verdict": "refused", "status": 403, "call": "POST /v2/feedback", "reason": "no token"},
]  # fmt: skip


@pytest.fixture
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An application whose service `triage` was called three times."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "plimsoll.yaml").write_text(FILE)
    state = StateDirectory(tmp_path)
    state.make()
    prepare_key(state.audit_keys / "triage", "triage", KeyRing.default())
    (state.service_logs / "triage").mkdir(parents=True)
    log = AuditFile(str(state.service_logs / "triage/audit.jsonl"), key=str(state.audit_keys / "triage"))
    log.write(CALLS)
    log.close()
    return tmp_path


def audit(application: Path, *words: str) -> Result:
    return CliRunner().invoke(plimsoll, ["audit", *words, "-f", str(application)], standalone_mode=False)


def test_a_log_that_is_whole_is_told_with_its_head(application: Path) -> None:
    done = audit(application, "verify")
    assert done.return_value == 0
    assert "triage: 6 lines are whole, 3 calls, 2 checkpoints, signed to line 6" in done.output
    head = done.output.split("head ")[1].split()[0]
    assert audit(application, "verify", "triage", "--expect", head).return_value == 0


def test_an_altered_log_is_told_by_its_first_wrong_line(application: Path) -> None:
    log = application / ".plimsoll/logs/triage/audit.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"status":413', b'"status":200'))
    done = audit(application, "verify")
    assert done.return_value == 1
    assert f"triage: changed: {log}:3: line 3 of the log was changed" in done.output
    told = json.loads(audit(application, "verify", "--json").output)
    assert told["whole"] is False
    assert told["logs"]["triage"]["findings"][0]["place"] == {"file": str(log), "line": 3}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ([], [200, 413, 403]),
        (["--caller", "ada"], [200]),
        (["--caller", "10.0.0.7"], [200, 403]),
        (["--status", "4xx"], [413, 403]),
        (["--status", "403,200"], [200, 403]),
        (["--model", "triage", "--version", "2"], [413]),
        (["--since", "2026-01-01T11:00", "--until", "2026-01-01T13:00:00+01:00"], [413]),
    ],
)
def test_calls_are_found_by_time_caller_status_model_and_version(
    application: Path, asked: list[str], found: list[int]
) -> None:
    told = json.loads(audit(application, "query", "--json", *asked).output)
    assert [call["status"] for call in told["calls"]] == found


@pytest.mark.parametrize("asked", [["--status", "4x"], ["--since", "yesterday"]])
def test_what_cannot_be_asked_is_refused_with_how_to_write_it(application: Path, asked: list[str]) -> None:
    refused = audit(application, "query", *asked).exception
    assert asked[1] in str(refused)
    assert "write" in str(refused)


def test_calls_are_exported_as_api_activity_of_ocsf(application: Path) -> None:
    first, second, third = map(json.loads, audit(application, "export").output.splitlines())
    assert (first["class_uid"], first["category_uid"], first["type_uid"]) == (6003, 6, 600302)
    assert first["time"] == 1767261600000
    assert first["actor"]["user"] == {"name": "ada"}
    assert first["resources"] == [{"name": "triage", "type": "model", "version": "1", "uid": "sha256:ab"}]
    assert (second["status_id"], second["status_code"]) == (2, "413")
    assert third["api"]["operation"] == "POST /v2/feedback"


def test_calls_are_exported_as_cef_with_its_marks_escaped(application: Path) -> None:
    _, second, third = audit(application, "export", "--format", "cef").output.splitlines()
    assert second.startswith("CEF:0|Plimsoll|Plimsoll|")
    assert "reason=too|large\\=\\n1" in second
    assert "|403|POST /v2/feedback|6|" in third


def test_an_application_without_audit_says_how_to_have_one(application: Path) -> None:
    refused = audit(application, "verify", "other").exception
    assert "there is no audit log" in str(refused)
    assert "telemetry: {audit: true}" in str(refused)
