"""Monitoring of a service of this machine: drift references, observers, alert rules and a dashboard."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from plimsoll.evidence.observation import Observation
from plimsoll.kinds.service import Serve
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.local.attempt import LocalAttempt
from plimsoll.targets.local.commands import base_environment, input_path
from plimsoll.targets.local.workers import Command, run_together
from plimsoll.targets.predictors import identity
from plimsoll.targets.services import PROMISED, drift_watch, observer_option, table_id
from plimsoll.telemetry.drift.reference_file import reference_file
from plimsoll.telemetry.drift.state import DriftState

if TYPE_CHECKING:
    from plimsoll.registry.versions import ModelVersion

REFERENCE_TIMEOUT = 600.0
"""Time limit in seconds for reading the training table and running the model on it."""
STATE = ".state.json"


def drift_references(
    attempt: LocalAttempt[Serve], work: Serve, service: ServiceFile
) -> Generator[Observation, None, tuple[dict[str, Path], str]]:
    """The drift reference file of each version, by digest; and the reason when one could not be created.

    A reference describes a version's features in training. It is created once for a version and a table, in a separate
    process, because the model runs on every row of the table.
    """
    references: dict[str, Path] = {}
    if work.reference is None:
        return references, ""
    state = attempt.context.state
    state.drift.mkdir(parents=True, exist_ok=True)
    data = table_id(work.reference, identity(work))
    for file in service.models:
        path = references[file.digest] = reference_file(state.drift, file.digest, data)
        if path.exists():
            continue
        argv = [sys.executable, "-m", "plimsoll.telemetry.drift.build_reference", *_computed_by(file)]
        argv += ["--name", file.name, "--table", str(input_path(work.reference, state))]
        argv += ["--digest", file.digest, "--data", data, "--output", str(path)]
        environment = {**base_environment(None), "PLIMSOLL_OUTPUT": str(attempt.output)}
        reason = yield from run_together(attempt, [Command(argv=argv, environment=environment)], REFERENCE_TIMEOUT)
        if reason:
            return {}, reason
    return references, ""


def _computed_by(file: ModelFile) -> list[str]:
    """What the rows of the table are computed with: the ONNX file, or the user's own code."""
    if file.code is None and not file.steps:
        return ["--model", file.path]
    return ["--code", msgspec.json.encode(file).decode()]


def observer_options(
    state: StateDirectory,
    work: Serve,
    versions: Sequence[ModelVersion],
    service: ServiceFile,
    references: Mapping[str, Path],
) -> list[str]:
    """The values of the server's `--observer` options for a service; `references` maps a digest to its file."""
    logs = state.service_logs / work.service
    logs.mkdir(parents=True, exist_ok=True)
    # The drift state of an earlier server does not apply to this one.
    for path in _state_files(state, work.service):
        path.unlink(missing_ok=True)
    promised = {version.digest: version.metrics.get(PROMISED) for version in versions}
    watched = {file.digest: file for file in service.models if file.digest in references}
    drift = [
        _drift(state, work, file.version, references[digest], promised.get(digest)) for digest, file in watched.items()
    ]
    return [observer_option(work.service, work.telemetry, lambda name: str(logs / f"{name}.jsonl"), drift)]


def write_monitoring(output: Path, work: Serve) -> None:
    """Write alert rules for Prometheus and a dashboard for Grafana into the step's output."""
    import yaml

    from plimsoll.telemetry.alerts import rule_groups
    from plimsoll.telemetry.dashboard import dashboard

    model = work.served_name
    rules = rule_groups(work.service, model, p99=work.latency)
    (output / "alerts.yaml").write_text(yaml.safe_dump(rules, sort_keys=False, width=120), encoding="utf-8")
    text = json.dumps(dashboard(work.service, model), indent=1)
    (output / "dashboard.json").write_text(text + "\n", encoding="utf-8")


def read_drift(state: StateDirectory, service: str) -> list[DriftState]:
    """The drift of a service's versions, as its server last wrote it."""
    found = []
    for path in sorted(_state_files(state, service)):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            found.append(msgspec.json.decode(path.read_bytes(), type=DriftState))
    return found


def _drift(
    state: StateDirectory, work: Serve, version: str, reference: Path, promised: float | None
) -> dict[str, object]:
    settings = drift_watch(version, str(reference), str(state.service_logs / work.service / "drift.jsonl"), promised)
    return {**settings, "state": str(state.drift / f"{work.service}.{version}{STATE}")}


def _state_files(state: StateDirectory, service: str) -> list[Path]:
    return list(state.drift.glob(f"{service}.*{STATE}"))
