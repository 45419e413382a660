"""A run as the one object that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from plimsoll.engine.history import RunHistory, StepHistory
from plimsoll.telemetry.drift.state import DriftState


def summary(
    run: RunHistory,
    services: Mapping[str, str],
    report: Path | None,
    drift: Mapping[str, Sequence[DriftState]] | None = None,
) -> dict[str, Any]:
    """The run for other programs: `services` has the addresses of those that are up now, `drift` how they stand."""
    watched = drift or {}
    return {
        "run": run.run,
        "application": run.application,
        "target": run.target,
        "state": run.state,
        "seconds": round(run.seconds, 3),
        "steps": [_step(step) for step in run.steps],
        "models": {_part(step): _model(step) for step in _done(run, "register")},
        "services": {_part(step): _service(step, services, watched) for step in _done(run, "serve")},
        "batches": {_part(step): _batch(step) for step in _done(run, "score")},
        "report": str(report) if report else None,
    }


def _done(run: RunHistory, verb: str) -> list[StepHistory]:
    return [step for step in run.steps if step.name.startswith(f"{verb}/") and step.state == "done"]


def _part(step: StepHistory) -> str:
    return step.name.partition("/")[2]


def _step(step: StepHistory) -> dict[str, Any]:
    described = {
        "name": step.name,
        "state": step.state,
        "cached": step.cached,
        "seconds": round(step.seconds, 3),
        "attempts": step.attempts,
    }
    return {**described, "reason": step.reason} if step.reason else described


def _model(step: StepHistory) -> dict[str, Any]:
    return {name: step.result.get(name) for name in ("version", "digest", "metrics", "accepted", "refusals")}


def _service(
    step: StepHistory, services: Mapping[str, str], drift: Mapping[str, Sequence[DriftState]]
) -> dict[str, Any]:
    proof = {name: step.result.get(name) for name in ("model", "seconds_to_ready", "latency_ms")}
    described = {"url": services.get(_part(step)), **proof}
    told = drift.get(_part(step))
    return {**described, "drift": msgspec.to_builtins(list(told))} if told else described


def _batch(step: StepHistory) -> dict[str, Any]:
    return {name: step.result.get(name) for name in ("model", "rows", "seconds")}
