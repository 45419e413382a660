"""What the local target tells a server that is to be watched."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import yaml

from plimsoll.kinds.service import Serve, Telemetry
from plimsoll.registry.versions import Lineage, ModelVersion
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.local.watching import observer_options, read_drift, write_monitoring
from plimsoll.telemetry.drift.state import DriftState


def version(number: int) -> ModelVersion:
    lineage = Lineage(run="r", step="train/triage", key="k")
    return ModelVersion(
        name="triage", version=number, digest=f"sha256:{number}", created=datetime(2026, 1, 1, tzinfo=UTC), author="a",
        framework="none", metrics={"accuracy": 0.8}, accept={}, accepted=True, refusals=(), lineage=lineage, files={},
    )  # fmt: skip


def test_every_version_is_watched_against_its_own_reference(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    state.make()
    state.drift.mkdir()
    stale = state.drift / "triage.1.state.json"
    stale.write_text("{}")
    work = Serve(service="triage", model="triage@1", telemetry=Telemetry(audit=True))
    references = {"sha256:1": tmp_path / "one.json", "sha256:2": tmp_path / "two.json"}
    files = tuple(ModelFile(name="triage", version=number, digest=f"sha256:{number}") for number in ("1", "2"))
    served = ServiceFile(models=files)
    (observer,) = observer_options(state, work, [version(1), version(2)], served, references)
    place, _, settings = observer.partition("=")
    told = json.loads(settings)
    assert place == "plimsoll.telemetry.service:watch"
    assert [(one["version"], Path(one["reference"]).name) for one in told["drift"]] == [
        ("1", "one.json"),
        ("2", "two.json"),
    ]
    assert {one["promised"] for one in told["drift"]} == {0.8}
    assert told["audit_log"].endswith("logs/triage/audit.jsonl")
    assert "access_log" not in told
    # What an earlier server said is not true of this one.
    assert not stale.exists()
    assert read_drift(state, "triage") == []
    Path(told["drift"][0]["state"]).write_bytes(
        b'{"model": "triage", "version": "1", "rows": 9, "skipped": 0, "windows": 1, "alarms": ["feature a: KS 0.3"]}'
    )
    (seen,) = read_drift(state, "triage")
    assert isinstance(seen, DriftState)
    assert seen.lines() == ["feature a: KS 0.3"]


def test_rules_and_dashboard_are_of_the_model_without_its_version(tmp_path: Path) -> None:
    write_monitoring(tmp_path, Serve(service="triage", model="triage@1", latency=0.05))
    rules = yaml.safe_load((tmp_path / "alerts.yaml").read_text())["groups"][0]["rules"]
    assert all('model="triage"' in rule["expr"] for rule in rules)
    assert json.loads((tmp_path / "dashboard.json").read_text())["title"] == "Plimsoll: triage"
