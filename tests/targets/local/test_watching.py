"""What the local target tells a server that is to be watched."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from plimsoll.kinds.assistant import AssistantPlan
from plimsoll.kinds.llm import PreparedLlm
from plimsoll.kinds.serve import Serve
from plimsoll.kinds.service_settings import Telemetry
from plimsoll.planning.steps import InputFile
from plimsoll.registry.versions import Lineage, ModelVersion
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.local.watching import (
    observer_options,
    read_drift,
    remember_references,
    watch_versions,
    write_monitoring,
)
from plimsoll.targets.models import model_registry
from plimsoll.telemetry.drift.state import DriftState

ONE = ServiceFile(models=(ModelFile(name="triage", version="1", path="m", digest="sha256:1"),))


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


def test_a_version_that_takes_over_is_watched_against_the_reference_that_a_run_has_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    state = StateDirectory(tmp_path)
    state.make()
    (state.services / "triage").mkdir()
    state.drift.mkdir()
    table = InputFile(name="features", step="run/features", key="k", file="train.csv")
    work = Serve(service="triage", model="triage@1", reference=table)
    (observer,) = observer_options(state, work, [version(1)], ONE, {"sha256:1": tmp_path / "one.json"})
    followed = Path(json.loads(observer.partition("=")[2])["drift_file"])
    assert [entry["version"] for entry in json.loads(followed.read_text())] == ["1"]

    source = tmp_path / "trained"
    source.mkdir()
    (source / "model.onnx").write_bytes(b"weights")
    files = {"model.onnx": source / "model.onnx"}
    registry = model_registry(state)
    for key in ("k1", "k2"):
        lineage = Lineage(run="r", step="train/triage", key=key)
        made = registry.add("triage", files, lineage=lineage, metrics={"accuracy": 0.7}, accept={})
    one = ModelFile(name="triage", version="1", path="m", digest="sha256:1")
    new = ModelFile(name="triage", version="2", path="m", digest=made.digest)
    watch_versions(state, "triage", [one, new])
    assert [entry["version"] for entry in json.loads(followed.read_text())] == ["1"], "there is no reference yet"
    reference = state.drift / "new.json"
    reference.write_text("{}")
    remember_references(state, {made.digest: reference})
    watch_versions(state, "triage", [one, new])
    _, entry = json.loads(followed.read_text())
    assert (entry["version"], entry["promised"]) == ("2", 0.7)
    assert Path(entry["reference"]) == reference
    watch_versions(state, "triage", [new])
    assert json.loads(followed.read_text()) == [entry]


def test_a_service_that_is_only_tested_leaves_alone_what_is_of_the_one_that_is_up(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    state.make()
    state.drift.mkdir()
    live = state.drift / "triage.1.state.json"
    live.write_text("{}")
    work = Serve(service="triage", model="triage@1", telemetry=Telemetry(access=True))
    references = {"sha256:1": tmp_path / "one.json"}
    (observer,) = observer_options(state, work, [version(1)], ONE, references, tmp_path / "scratch")
    told = json.loads(observer.partition("=")[2])
    assert live.exists()
    assert Path(told["access_log"]).parent == Path(told["drift"][0]["state"]).parent == tmp_path / "scratch"
    assert "drift_file" not in told


def test_rules_and_dashboard_are_of_the_model_without_its_version(tmp_path: Path) -> None:
    write_monitoring(tmp_path, Serve(service="triage", model="triage@1", latency=0.05))
    rules = yaml.safe_load((tmp_path / "alerts.yaml").read_text())["groups"][0]["rules"]
    assert all('model="triage"' in rule["expr"] for rule in rules)
    assert json.loads((tmp_path / "dashboard.json").read_text())["title"] == "Plimsoll: triage"


def test_rules_and_dashboard_of_an_assistant_are_of_it_and_of_its_language_model(tmp_path: Path) -> None:
    plan = AssistantPlan(
        name="mechanic", index="manuals", index_key=None, prompt=None, refuse=0.3, top=4, tokens=64, seconds=20
    )
    llm = PreparedLlm(name="writer", engine="llama.cpp")
    write_monitoring(tmp_path, Serve(service="help", model="", assistant=plan, llm=llm))
    rules = yaml.safe_load((tmp_path / "alerts.yaml").read_text())["groups"][0]["rules"]
    about = {
        name: [each["alert"] for each in rules if f'model="{name}"' in each["expr"]] for name in ("mechanic", "writer")
    }
    assert "PlimsollUnsupported" in about["mechanic"]
    assert "PlimsollFirstToken" in about["writer"]
    assert "Sentences by support" in (tmp_path / "dashboard.json").read_text()
