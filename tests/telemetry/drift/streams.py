"""Streams of rows like those of a service, for the tests of drift."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np

from plimsoll.runtime.tensors import Array
from plimsoll.telemetry.drift.features import build_side
from plimsoll.telemetry.drift.monitor import AlarmChange, DriftMonitor
from plimsoll.telemetry.drift.reference import SideReference

Columns = dict[str, Array]
BEGIN = datetime(2026, 3, 4, 14, 0, tzinfo=UTC)
SITES = ["north", "south", "east", "west"]
TEXTS = ["bucket cylinder leaking", "replace hose", "engine oil low", "tooth broken", "grease line blocked"]


def rows(random: np.random.Generator, number: int, *, texts: bool = True) -> Columns:
    """Two numbers, a count, a site and a text, which is slow to make and to read."""
    site = np.array(SITES, dtype=object)
    more: Columns = {}
    if texts:
        more["note"] = _notes(random, number)
    return {
        "hours_idle": random.normal(8, 2, number).astype(np.float32),
        "load": random.exponential(3, number).astype(np.float32),
        "starts": random.poisson(5, number),
        "site": site[random.choice(4, number, p=[0.5, 0.3, 0.15, 0.05])],
        **more,
    }


def _notes(random: np.random.Generator, number: int) -> Array:
    text = np.array(TEXTS, dtype=object)
    marked = [
        f"{one} {n}" for one, n in zip(text[random.choice(5, number)], random.integers(0, 4000, number), strict=True)
    ]
    return np.array(marked, dtype=object)


def reference(number: int = 5000) -> SideReference:
    return build_side(rows(np.random.default_rng(1), number), "input")


def stream(
    monitor: DriftMonitor,
    seconds: int,
    change: Callable[[np.random.Generator, Columns, int], None] = lambda *_: None,
    *,
    a_second: int = 100,
    seed: int = 2,
    texts: bool = True,
) -> list[AlarmChange]:
    """Rows second by second; `change` changes the rows of one second in place."""
    random = np.random.default_rng(seed)
    changes: list[AlarmChange] = []
    for second in range(seconds):
        columns = rows(random, a_second, texts=texts)
        change(random, columns, second)
        monitor.add(columns)
        changes += monitor.tick(BEGIN + timedelta(seconds=second + 1))
    return changes
