"""Runs for tests of their pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from plimsoll.engine.history import RunHistory, history
from plimsoll.evidence.observation import Observation

START = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
LONGEST = "a-name-as-long-as-a-file-may-have-and-as-nobody-would-type-it-2"
WIDEST = "w" * 63


def seen(second: float, subject: str, event: str, **values: Any) -> Observation:
    at = START + timedelta(seconds=second)
    return Observation(at=at, source="engine", subject=subject, fact={"event": event, **values})


def planned(steps: Mapping[str, Sequence[str]], target: str = "local") -> Observation:
    told = [{"name": name, "key": "k", "needs": needs} for name, needs in steps.items()]
    return seen(0, "run", "run-planned", run="r1", application="a", target=target, steps=told, file="plimsoll.yaml")


def run_of(steps: Mapping[str, Sequence[str]], more: Iterable[Observation] = (), state: str = "done") -> RunHistory:
    """A run whose steps began one second after the other and were done."""
    observations = [planned(steps)]
    for place, name in enumerate(steps):
        observations.append(seen(place, name, "step-started", key="k"))
        observations.append(seen(place + 0.9, name, "step-ended", state="done", cached=False, reason="", result={}))
    return history([*observations, *more, seen(len(steps) + 1, "run", "run-ended", state=state)])


def fan_out(count: int = 8) -> dict[str, Sequence[str]]:
    """Sources that all trainings need, some of them far from where they are needed."""
    steps: dict[str, Sequence[str]] = {
        "fetch/orders": [],
        f"fetch/{LONGEST}": [],
        "environment/python": [],
        "run/features": ["fetch/orders", "environment/python"],
    }
    for number in range(count):
        name = WIDEST if number == 1 else f"m{number}"
        steps[f"train/{name}"] = ["run/features", "environment/python", f"fetch/{LONGEST}"]
        steps[f"register/{name}"] = [f"train/{name}"]
        steps[f"serve/{name}"] = [f"register/{name}", "fetch/orders", "run/features"]
    return steps
