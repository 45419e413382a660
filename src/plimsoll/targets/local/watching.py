"""Monitoring of a service of this machine: drift references, observers, alert rules and a dashboard."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import TargetError
from plimsoll.evidence.observation import Observation
from plimsoll.files import replace_file
from plimsoll.kinds.serve import SampledExplanations, Serve
from plimsoll.runtime.explain.sampled_settings import SampledSettings
from plimsoll.runtime.model_digests import digest_options
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from plimsoll.signing.checkpoints import prepare_key
from plimsoll.signing.keys import KeyRing
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.local.attempt import LocalAttempt
from plimsoll.targets.local.commands import base_environment, input_path
from plimsoll.targets.local.workers import Command, run_together
from plimsoll.targets.models import model_registry
from plimsoll.targets.predictors import identity
from plimsoll.targets.services import PROMISED, drift_watch, observer_option, table_id
from plimsoll.telemetry.drift.reference_file import reference_file
from plimsoll.telemetry.drift.state import DriftState

if TYPE_CHECKING:
    from plimsoll.registry.versions import ModelVersion

REFERENCE_TIMEOUT = 600.0
"""Time limit in seconds for reading the training table and running the model on it."""
EXPLAIN_TIMEOUT = 180.0
"""Time limit in seconds for loading shap and explaining one row."""
STATE = ".state.json"


def drift_references(
    attempt: LocalAttempt[Serve], work: Serve, service: ServiceFile
) -> Generator[Observation, None, tuple[dict[str, Path], str]]:
    """The drift reference file of each version, by digest; and the reason when one could not be created.

    A reference describes a version's features in training. It is created once for a version and a table, in a separate
    process, because the model runs on every row of the table.
    """
    state = attempt.context.state
    references = reference_files(state, work, service)
    for file in service.models:
        path = references.get(file.digest)
        if path is None or path.exists():
            continue
        argv = reference_command(state, work, file, path)
        environment = {**base_environment(None), "PLIMSOLL_OUTPUT": str(attempt.output)}
        reason = yield from run_together(attempt, [Command(argv=argv, environment=environment)], REFERENCE_TIMEOUT)
        if reason:
            return {}, reason
    remember_references(state, references)
    return references, ""


def reference_files(state: StateDirectory, work: Serve, service: ServiceFile) -> dict[str, Path]:
    """Where the drift references of versions belong, by digest, whether they exist or not; none without a table."""
    if work.reference is None:
        return {}
    state.drift.mkdir(parents=True, exist_ok=True)
    data = table_id(work.reference, identity(work))
    return {file.digest: reference_file(state.drift, file.digest, data) for file in service.models}


def reference_command(state: StateDirectory, work: Serve, file: ModelFile, path: Path) -> list[str]:
    """The command that writes a version's drift reference. Raises TargetError when the table is missing."""
    if work.reference is None:
        raise TargetError(f"service {work.service} has no drift reference")
    argv = [sys.executable, "-m", "plimsoll.telemetry.drift.build_reference", *_computed_by(file)]
    argv += ["--name", file.name, "--table", str(input_path(work.reference, state)), "--digest", file.digest]
    return [*argv, "--data", table_id(work.reference, identity(work)), "--output", str(path)]


def _computed_by(file: ModelFile) -> list[str]:
    """What the rows of the table are computed with: the ONNX file, or the user's own code."""
    if file.code is None and not file.steps:
        return ["--model", file.path]
    return ["--code", msgspec.json.encode(ServiceFile(models=(file,))).decode()]


def observer_options(
    state: StateDirectory,
    work: Serve,
    versions: Sequence[ModelVersion],
    service: ServiceFile,
    references: Mapping[str, Path],
    scratch: Path | None = None,
) -> list[str]:
    """The values of the server's `--observer` options for a service; `references` maps a digest to its file.

    With `scratch`, a server that is only tested writes there: the service itself is up beside it.
    """
    logs = scratch or state.service_logs / work.service
    logs.mkdir(parents=True, exist_ok=True)
    if scratch is None:
        # The drift state of an earlier server does not apply to this one.
        for path in _state_files(state, work.service):
            path.unlink(missing_ok=True)
    promised = {version.digest: version.metrics.get(PROMISED) for version in versions}
    watched = {file.digest: file for file in service.models if file.digest in references}
    places = logs, scratch or state.drift
    drift = [
        _drift(work.service, file.version, references[digest], promised.get(digest), places)
        for digest, file in watched.items()
    ]
    followed = ""
    if scratch is None and work.reference is not None:
        file = _drift_file(state, work.service)
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, msgspec.json.encode(drift))
        followed = str(file)
    key = ""
    if scratch is None and work.telemetry.audit:
        place = state.audit_keys / work.service
        prepare_key(place, work.service, KeyRing.default())
        key = str(place)
    explain = sampled(state, work.explain) if work.explain is not None else None
    option = observer_option(
        work.service, work.telemetry, lambda name: str(logs / f"{name}.jsonl"), drift, followed, key, explain
    )
    return [option]


def sampled(state: StateDirectory, explain: SampledExplanations) -> SampledSettings:
    """What a server is told of explanations by shap. Raises TargetError when the table is missing."""
    return SampledSettings(
        background=str(input_path(explain.background, state).absolute()),
        evaluations=explain.evaluations,
        seconds=explain.seconds,
        output=explain.output,
    )


def explanations_problem(
    attempt: LocalAttempt[Serve], work: Serve, service: ServiceFile
) -> Generator[Observation, None, str]:
    """Why a version of the service cannot be explained as the file asks for; empty when all can.

    Each explains a row of the background, in a process of its own.
    """
    if work.explain is None:
        return ""
    settings = sampled(attempt.context.state, work.explain)
    for file in service.models:
        argv = [sys.executable, "-m", "plimsoll.runtime.explain.shap_process", "--check", "--model", file.path]
        argv += ["--background", settings.background, "--output", settings.output]
        argv += ["--evaluations", str(settings.evaluations), "--seconds", str(settings.seconds)]
        argv += digest_options({Path(path): digest for path, digest in file.files.items()})
        environment = {**base_environment(None), "PLIMSOLL_OUTPUT": str(attempt.output)}
        command = Command(argv=argv, environment=environment)
        if reason := (yield from run_together(attempt, [command], EXPLAIN_TIMEOUT)):
            return f"version {file.version}: {reason}"
    return ""


def watch_versions(state: StateDirectory, service: str, files: Sequence[ModelFile]) -> None:
    """Have a running server watch the drift of the versions that it has now, as far as they have a reference."""
    path = _drift_file(state, service)
    try:
        before = msgspec.json.decode(path.read_bytes(), type=list[dict[str, object]])
    except (*UNREADABLE, OSError):
        # The service is not watched for drift.
        return
    known = {entry["version"]: entry for entry in before}
    places = state.service_logs / service, state.drift
    now = []
    for file in files:
        entry = known.get(file.version)
        reference = newest_reference(state, file.digest)
        if entry is None and reference.exists():
            promised = model_registry(state).find(f"{file.name}@{file.version}").metrics.get(PROMISED)
            entry = _drift(service, file.version, reference.resolve(), promised, places)
        if entry is not None:
            now.append(entry)
    if now != before:
        replace_file(path, msgspec.json.encode(now))


def newest_reference(state: StateDirectory, digest: str) -> Path:
    """The link to the newest drift reference of a model's digest, whatever table that is of."""
    return state.references / digest.removeprefix("sha256:")


def remember_references(state: StateDirectory, references: Mapping[str, Path]) -> None:
    """Let `newest_reference` find these."""
    for digest, path in references.items():
        state.references.mkdir(exist_ok=True)
        link = newest_reference(state, digest)
        temporary = link.with_name(f".{link.name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(f"../{state.drift.name}/{path.name}")
        temporary.replace(link)


def _drift_file(state: StateDirectory, service: str) -> Path:
    return state.services / service / "drift.json"


def write_monitoring(output: Path, work: Serve) -> None:
    """Write alert rules for Prometheus and a dashboard for Grafana into the step's output."""
    import yaml

    from plimsoll.telemetry.alerts import rule_groups
    from plimsoll.telemetry.dashboard import dashboard

    model = work.served_name
    llm = work.llm is not None
    writer = work.llm.name if work.llm is not None and work.assistant is not None else ""
    rules = rule_groups(work.service, model, p99=work.latency, llm=llm, writer=writer)
    (output / "alerts.yaml").write_text(yaml.safe_dump(rules, sort_keys=False, width=120), encoding="utf-8")
    text = json.dumps(dashboard(work.service, model, llm=llm, writer=writer), indent=1)
    (output / "dashboard.json").write_text(text + "\n", encoding="utf-8")


def read_drift(state: StateDirectory, service: str) -> list[DriftState]:
    """The drift of a service's versions, as its server last wrote it."""
    found = []
    for path in sorted(_state_files(state, service)):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            found.append(msgspec.json.decode(path.read_bytes(), type=DriftState))
    return found


def _drift(
    service: str, version: str, reference: Path, promised: float | None, places: tuple[Path, Path]
) -> dict[str, object]:
    logs, states = places
    settings = drift_watch(version, str(reference), str(logs / "drift.jsonl"), promised)
    return {**settings, "state": str(states / f"{service}.{version}{STATE}")}


def _state_files(state: StateDirectory, service: str) -> list[Path]:
    return list(state.drift.glob(f"{service}.*{STATE}"))
