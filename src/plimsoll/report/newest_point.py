"""The newest point of a training's curve, while the training goes on."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from plimsoll.engine.history import RunHistory
from plimsoll.kinds.train import TrainGang
from plimsoll.state.directory import StateDirectory

TAIL = 1 << 16
"""Bytes of the file's end that are read: a curve may be long."""


def newest_points(state: StateDirectory, run: RunHistory) -> Mapping[str, Mapping[str, float]]:
    """The newest point of each training of a run that goes on, by its step; none for a training without a curve."""
    trained = [step for step in run.steps if step.verb == TrainGang.verb and step.state == "running"]
    found = {step.name: _newest(*state.on(step.target).curve_files(step.key)) for step in trained}
    return {name: point for name, point in found.items() if point}


def _newest(earlier: Path, present: Path) -> Mapping[str, float]:
    """That of the present attempt; before it has one, or where pods have it, the newest that was brought here."""
    return newest_point(present) or newest_point(earlier)


def newest_point(path: Path) -> Mapping[str, float]:
    """The finite numbers of the last whole line that has a `step`; empty without one."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            lines = file.read().split(b"\n")
    except OSError:
        return {}
    for line in reversed(lines):
        try:
            values = json.loads(line, parse_int=float)
        except (ValueError, RecursionError):
            continue
        if isinstance(values, dict) and isinstance(values.get("step"), float):
            return {
                str(name): value for name, value in values.items() if isinstance(value, float) and math.isfinite(value)
            }
    return {}
