"""The curve of a training on this machine, while it runs and afterwards."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

from plimsoll.state.directory import StateDirectory

NAME = "metrics.jsonl"
READ_LIMIT = 32 << 20
"""Bytes of a curve that are read: it is read again and again while it grows."""


def read_series(state: StateDirectory, key: str, series: str) -> list[tuple[float, float]]:
    """The points of one series: step and value. Lines that are none, and one that is being written, are left out."""
    # A finished attempt leaves a link to its result in its place.
    return list(_points(state.work / key / "output" / NAME, series) or _points(state.output(key) / NAME, series))


def _points(path: Path, series: str) -> list[tuple[float, float]]:
    try:
        with path.open("rb") as file:
            lines = file.read(READ_LIMIT).split(b"\n")
    except OSError:
        return []
    return list(_parsed(lines, series))


def _parsed(lines: list[bytes], series: str) -> Iterator[tuple[float, float]]:
    for line in lines:
        try:
            values = json.loads(line, parse_int=float)
        except (ValueError, RecursionError):
            continue
        if isinstance(values, dict):
            step, value = values.get("step"), values.get(series)
            if isinstance(step, float) and isinstance(value, float) and math.isfinite(step) and math.isfinite(value):
                yield step, value
