"""What watches a service of this machine: the observer with its settings, and what monitoring takes from it."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from plimsoll.evidence.observation import Observation
from plimsoll.kinds.service import Serve
from plimsoll.runtime.server.service_file import ServiceFile
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.local.attempt import LocalAttempt
from plimsoll.targets.local.commands import base_environment, input_path
from plimsoll.targets.local.workers import Command, run_together
from plimsoll.targets.services import PROMISED, data_of, drift_watch, observer
from plimsoll.telemetry.drift.reference_file import reference_file
from plimsoll.telemetry.drift.state import DriftState

if TYPE_CHECKING:
    from plimsoll.registry.versions import ModelVersion

READING = 600.0
"""Seconds that reading the table of training and asking the model may take."""
STATE = ".state.json"


def drift_references(
    attempt: LocalAttempt[Serve], work: Serve, versions: Sequence[ModelVersion], service: ServiceFile
) -> Generator[Observation, None, tuple[dict[str, Path], str]]:
    """By digest, the file with what a version's features looked like in training; and why one could not be had.

    It is made once for a version and its table, in a process of its own: the model answers every row of the table.
    """
    references: dict[str, Path] = {}
    if work.reference is None:
        return references, ""
    state = attempt.context.state
    state.drift.mkdir(parents=True, exist_ok=True)
    data = data_of(work.reference)
    models = {file.digest: file.path for file in service.models}
    for version in versions:
        path = references[version.digest] = reference_file(state.drift, version.digest, data)
        if path.exists():
            continue
        argv = [sys.executable, "-m", "plimsoll.telemetry.drift.build_reference", "--model", models[version.digest]]
        argv += ["--name", version.name, "--table", str(input_path(work.reference, state))]
        argv += ["--digest", version.digest, "--data", data, "--output", str(path)]
        environment = {**base_environment(None), "PLIMSOLL_OUTPUT": str(attempt.output)}
        reason = yield from run_together(attempt, [Command(argv=argv, environment=environment)], READING)
        if reason:
            return {}, reason
    return references, ""


def watched_by(
    state: StateDirectory, work: Serve, versions: Sequence[ModelVersion], references: Mapping[str, Path]
) -> list[str]:
    """The observers of a service, as the server takes them; `references` by digest."""
    logs = state.service_logs / work.service
    logs.mkdir(parents=True, exist_ok=True)
    # What an earlier server said is not true of this one.
    for told in _state_files(state, work.service):
        told.unlink(missing_ok=True)
    watched = {version.digest: version for version in versions if version.digest in references}
    drift = [_drift(state, work, version, references[digest]) for digest, version in watched.items()]
    return [observer(work.service, work.telemetry, lambda name: str(logs / f"{name}.jsonl"), drift)]


def write_monitoring(output: Path, work: Serve) -> None:
    """Alert rules for Prometheus and a dashboard for Grafana, for people to take."""
    import yaml

    from plimsoll.telemetry.alerts import rule_groups
    from plimsoll.telemetry.dashboard import dashboard

    model = work.model.partition("@")[0]
    rules = rule_groups(work.service, model, p99=work.latency)
    (output / "alerts.yaml").write_text(yaml.safe_dump(rules, sort_keys=False, width=120), encoding="utf-8")
    drawn = json.dumps(dashboard(work.service, model), indent=1)
    (output / "dashboard.json").write_text(drawn + "\n", encoding="utf-8")


def drift_of(state: StateDirectory, service: str) -> list[DriftState]:
    """How the features of a service's versions stand, as it last said."""
    found = []
    for path in sorted(_state_files(state, service)):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            found.append(msgspec.json.decode(path.read_bytes(), type=DriftState))
    return found


def _drift(state: StateDirectory, work: Serve, version: ModelVersion, reference: Path) -> dict[str, Any]:
    number, logs = str(version.version), state.service_logs / work.service
    told = drift_watch(number, str(reference), str(logs / "drift.jsonl"), version.metrics.get(PROMISED))
    return {**told, "state": str(state.drift / f"{work.service}.{number}{STATE}")}


def _state_files(state: StateDirectory, service: str) -> list[Path]:
    return list(state.drift.glob(f"{service}.*{STATE}"))
