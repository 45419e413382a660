"""Curves of trainings, read as they grow and thinned to what a screen shows."""

from __future__ import annotations

import json
import math
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

POINTS = 1000
"""Points of a series that are kept; beyond twice as many, every second one goes."""
SERIES = 400
"""Series of a training that are kept."""
MOST_BYTES = 64 << 20
"""Bytes of a file that are read in one call; the next call goes on."""
FILES = 32
"""Files whose points stay in memory."""

Point = tuple[float, float]


class Series:
    """One series with the points of every attempt, joined by step: a later point at a step replaces the earlier."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.last: Point = (0.0, 0.0)
        self._every = 1
        self._seen = 0

    def add(self, step: float, value: float) -> None:
        """Add a point. A step that is not beyond the last one begins a later attempt."""
        while self.points and self.points[-1][0] >= step:
            self.points.pop()
        self.last = (step, value)
        self._seen += 1
        if self._seen % self._every:
            return
        self.points.append(self.last)
        if len(self.points) >= 2 * POINTS:
            self.points = self.points[::2]
            self._every *= 2

    def shown(self) -> list[Point]:
        """The points, and the last one whatever was left out."""
        return self.points if self.points and self.points[-1] == self.last else [*self.points, self.last]


class CurveFile:
    """One file of lines `{"step": n, name: number, …}`. What is no finite number is passed over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.series: dict[str, Series] = {}
        self.left_out = 0
        self._read = 0
        self._inode = 0

    def update(self) -> None:
        """Read what has been appended; a file that was replaced is read anew."""
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                if self._inode not in (0, status.st_ino) or status.st_size < self._read:
                    self.series, self._read, self.left_out = {}, 0, 0
                self._inode = status.st_ino
                file.seek(self._read)
                content = file.read(MOST_BYTES)
        except OSError:
            return
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            self._take(line)

    def _take(self, line: bytes) -> None:
        numbers = dict(_numbers(line))
        step = numbers.pop("step", None)
        if step is None:
            return
        for name, value in numbers.items():
            if name not in self.series and len(self.series) >= SERIES:
                self.left_out += 1
                continue
            self.series.setdefault(name, Series()).add(step, value)


class Curves:
    """The files that were looked at last. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._files: OrderedDict[Path, CurveFile] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, earlier: Path, present: Path) -> dict[str, list[Point]]:
        """The series of a training by name, as of now: those of earlier attempts up to where the present one begins."""
        with self._lock:
            before, now = self._series(earlier), self._series(present)
        first = min((points[0][0] for points in now.values()), default=math.inf)
        joined = {name: [point for point in points if point[0] < first] for name, points in before.items()}
        for name, points in now.items():
            joined[name] = [*joined.get(name, ()), *points]
        return {name: points for name, points in joined.items() if points}

    def _series(self, path: Path) -> dict[str, list[Point]]:
        found = self._files.setdefault(path, CurveFile(path))
        self._files.move_to_end(path)
        while len(self._files) > FILES:
            self._files.popitem(last=False)
        found.update()
        return {name: series.shown() for name, series in found.series.items()}


def _numbers(line: bytes) -> Iterator[tuple[str, float]]:
    try:
        values = json.loads(line, parse_int=float)
    except (ValueError, RecursionError):
        return
    for name, value in values.items() if isinstance(values, dict) else ():
        if isinstance(value, float) and math.isfinite(value):
            yield name, value
