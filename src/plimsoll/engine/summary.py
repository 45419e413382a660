"""A run as the object that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from plimsoll.engine.history import RunHistory, StepHistory
from plimsoll.evidence.run_events import Carried
from plimsoll.kinds.serve import Serve
from plimsoll.kinds.table import KINDS, Kinds
from plimsoll.telemetry.drift.state import DriftState


def summary(
    run: RunHistory,
    services: Mapping[str, str],
    report: Path | None,
    drift: Mapping[str, Sequence[DriftState]] | None = None,
    kinds: Kinds = KINDS,
) -> dict[str, object]:
    """The run for other programs, with a section for each kind of part whose results have a summary.

    `services` has the addresses of the running services, `drift` the drift of their versions.
    """
    awaited = dict(run.awaited())
    sections: dict[str, dict[str, dict[str, object]]] = {key: {} for key in ("models", "services", "batches")}
    for step in run.steps:
        entry = step.result.summary() if step.state == "done" else None
        if entry is not None:
            now = _current_state(step.part, services, drift or {}) if step.verb == Serve.verb else {}
            section = sections.setdefault(kinds.sections.get(step.verb, step.verb), {})
            # Several steps of a part may have something to say: an index is built, and then has a version.
            section[step.part] = {**section.get(step.part, {}), **now, **entry}
    return {
        "run": run.run,
        "application": run.application,
        "target": run.target,
        "state": run.state,
        "seconds": round(run.seconds, 3),
        "steps": [_step(step, awaited) for step in run.steps],
        **sections,
        "report": str(report) if report else None,
        **({"policies": msgspec.to_builtins(run.policies)} if run.policies else {}),
        **({"targets": dict(run.names), "carried": [_journey(each) for each in run.carried]} if run.names else {}),
    }


def _journey(each: Carried) -> dict[str, object]:
    """What has travelled from one target to another."""
    return {name: value for name, value in msgspec.to_builtins(each).items() if name not in {"event", "attempt"}}


def _current_state(service: str, up: Mapping[str, str], drift: Mapping[str, Sequence[DriftState]]) -> dict[str, object]:
    """The current address and drift of a service, which the summary of its step does not have."""
    watched = drift.get(service)
    return {"url": up.get(service), **({"drift": msgspec.to_builtins(list(watched))} if watched else {})}


def _step(step: StepHistory, awaited: Mapping[str, str]) -> dict[str, object]:
    described: dict[str, object] = {
        "name": step.name,
        "state": step.state,
        "cached": step.cached,
        "seconds": round(step.seconds, 3),
        "attempts": step.attempts,
    }
    if step.reason:
        described["reason"] = step.reason
    if step.name in awaited:
        described["awaits"] = awaited[step.name]
    if step.target:
        described |= {"target": step.target, "why": step.why}
    if step.stays:
        described["stays"] = step.stays
    if step.result.notes:
        described["notes"] = step.result.notes
    return described
