"""Curves of trainings: the points of metrics.jsonl, those of all attempts joined by step.

An attempt that resumes from a checkpoint goes on from a step that an attempt before may have passed. Its points replace
the ones from its first step on.
"""

from __future__ import annotations

import json
import math
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.files import replace_file

FILE = "metrics.jsonl"
Point = tuple[float, float]
Series = Mapping[str, tuple[Point, ...]]
"""Points by the name of the figure, each with its step."""


class Row(Struct, frozen=True):
    """The figures of one step."""

    step: float
    figures: Mapping[str, float]


def read_rows(path: Path) -> list[Row]:
    """The points of a file; what is no finite number is skipped. Empty for what is no regular file."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return []
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [row for line in lines if (row := _row(line)) is not None]


def joined(earlier: Sequence[Row], later: Sequence[Row]) -> list[Row]:
    """The points of two attempts as one curve."""
    first = min((row.step for row in later), default=math.inf)
    return [*(row for row in earlier if row.step < first), *later]


def add_attempt(path: Path, attempt: Path) -> None:
    """Join the points of an attempt that is over to those in `path`; the same attempt twice is the same as once.

    Raises OSError when the file cannot be written.
    """
    later = read_rows(attempt)
    if later:
        write_rows(path, joined(read_rows(path), later))


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write points, each as a line. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (msgspec.json.encode({"step": row.step, **row.figures}) for row in rows)
    replace_file(path, b"\n".join(lines) + b"\n", durable=False)


def series_of(rows: Iterable[Row]) -> Series:
    """The points of each figure, in order."""
    series: dict[str, list[Point]] = {}
    for row in rows:
        for name, value in row.figures.items():
            series.setdefault(name, []).append((row.step, value))
    return {name: tuple(points) for name, points in series.items()}


def _row(line: str) -> Row | None:
    try:
        values = json.loads(line, parse_int=float)
    except (ValueError, RecursionError):
        return None
    found = values.items() if isinstance(values, dict) else ()
    numbers = {name: value for name, value in found if isinstance(value, float) and math.isfinite(value)}
    step = numbers.pop("step", None)
    return None if step is None else Row(step, numbers)
