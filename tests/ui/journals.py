"""Runs on a disk as runs leave them, without running anything."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from plimsoll.evidence.journal import Journal
from plimsoll.evidence.observation import Observation
from plimsoll.state.directory import StateDirectory

START = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
STEPS = ("fetch/orders", "train/triage")


def run_id(number: int) -> str:
    return f"{START + timedelta(minutes=number):%Y%m%d-%H%M%S}-{number:06d}"


def seen(at: datetime, subject: str, event: str, **values: Any) -> Observation:
    return Observation(at=at, source="engine", subject=subject, fact={"event": event, **values})


def planned(number: int, application: str = "app", **values: Any) -> Observation:
    steps = [{"name": name, "key": f"k{number}", "needs": list(STEPS[:place])} for place, name in enumerate(STEPS)]
    at = START + timedelta(minutes=number)
    told = {"run": run_id(number), "application": application, "target": "local", "number": number, "steps": steps}
    return seen(at, "run", "run-planned", **{**told, **values})


def write_run(
    directory: Path,
    number: int,
    figures: Mapping[str, float] | None = None,
    *,
    ended: str = "done",
    reason: str = "",
    application: str = "app",
    **values: Any,
) -> str:
    """Write the journal of a run; with `ended` empty it goes on at its second step."""
    state = StateDirectory(directory)
    state.make()
    at = START + timedelta(minutes=number)
    lines = [planned(number, application, **values), seen(at, STEPS[0], "step-started", key="k")]
    lines += [seen(at, STEPS[0], "step-ended", state="done", cached=True, result={})]
    lines += [seen(at, STEPS[1], "step-started", key="k")]
    if ended:
        result = {"metrics": dict(figures or {})}
        at += timedelta(seconds=number % 7 + 1)
        lines += [seen(at, STEPS[1], "attempt-ended", attempt=1, outcome="done", result=result)]
        lines += [seen(at, STEPS[1], "step-ended", state=ended, reason=reason, result=result)]
        lines += [seen(at, "run", "run-ended", state=ended, reason=reason)]
    with Journal(state.journal(run_id(number))) as journal:
        journal.extend(lines)
    return run_id(number)
