"""Curves for the page: files of points that are read on as they grow, thinned, and given out as charts.

A training may write ten thousand figures at ten thousand steps. However many there are, what is kept of a file and what
one call reads of it have a limit, and a page gets the charts that it shows.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import sys
import threading
import time
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE

POINTS = 1000
"""Points of a series that are kept; beyond twice as many, every second one goes."""
MOST_POINTS = 2 << 20
"""Points of a file that are kept: where there are many series, each keeps fewer."""
FEWEST = 64
SERIES = 20_000
"""Series of a training that are kept."""
CHUNK = 1 << 20
READ_SECONDS = 0.25
"""For how long one call reads a file; the next call goes on."""
FILES = 8
"""Files whose points stay in memory."""
SHOWN = 600
"""Points of a series that a page gets: a chart is not wider."""

Point = tuple[float, float]
_LARGEST = sys.float_info.max
_OBJECT = msgspec.json.Decoder(dict[str, object])
_SET = re.compile(r"^(train|training|eval|valid|validation|val|test|dev)[-_/. ]", re.IGNORECASE)


class Series:
    """One series with the points of every attempt, joined by step: a later point at a step replaces the earlier."""

    def __init__(self) -> None:
        self.last: Point = (0.0, 0.0)
        self._steps, self._values = array("d"), array("d")
        self._every = 1
        self._seen = 0

    def add(self, step: float, value: float, most: int = 2 * POINTS) -> None:
        """Add a point. A step that is not beyond the last one begins a later attempt."""
        while self._steps and self._steps[-1] >= step:
            self._steps.pop()
            self._values.pop()
        self.last = (step, value)
        self._seen += 1
        if self._seen % self._every:
            return
        self._steps.append(step)
        self._values.append(value)
        while len(self._steps) >= most:
            self._steps, self._values = self._steps[::2], self._values[::2]
            self._every *= 2

    def shown(self) -> list[Point]:
        """The points, and the last one whatever was left out."""
        points = list(zip(self._steps, self._values, strict=True))
        return points if points and points[-1] == self.last else [*points, self.last]


class CurveFile:
    """One file of lines `{"step": n, name: number, …}`. What is no finite number is passed over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.series: dict[str, Series] = {}
        self.left_out: set[str] = set()
        self.unread = 0
        """Bytes that are still to be read."""
        self._read = 0
        self._inode = 0
        self._rest = b""

    def update(self, seconds: float = READ_SECONDS) -> None:
        """Read what has been appended, for so long; a file that was replaced is read anew."""
        until = time.monotonic() + seconds
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                if self._inode not in (0, status.st_ino) or status.st_size < self._read:
                    self._forget()
                self._inode = status.st_ino
                file.seek(self._read)
                while content := file.read(CHUNK):
                    self._read += len(content)
                    *lines, self._rest = (self._rest + content).split(b"\n")
                    for line in lines:
                        self._take(line)
                    if time.monotonic() > until:
                        break
                self.unread = max(status.st_size - self._read, 0)
        except OSError:
            return

    def _forget(self) -> None:
        self.series, self.left_out, self._rest, self._read = {}, set(), b"", 0

    def _take(self, line: bytes) -> None:
        numbers = dict(_numbers(line))
        step = numbers.pop("step", None)
        if step is None:
            return
        series = self.series
        most = max(FEWEST, min(2 * POINTS, MOST_POINTS // max(len(series), 1)))
        for name, value in numbers.items():
            if name in series:
                series[name].add(step, value, most)
            elif len(series) < SERIES:
                series[name] = Series()
                series[name].add(step, value, most)
            elif len(self.left_out) < SERIES:
                self.left_out.add(name)


class Chart(Struct, frozen=True, kw_only=True):
    """Series that share a chart, such as `train_loss` and `eval_loss`, each with its points."""

    title: str
    series: list[tuple[str, list[Point]]]


class CurvesPage(Struct, frozen=True, kw_only=True):
    """Some charts of a training, how many there are in all, and what is missing: bytes and series."""

    charts: list[Chart]
    total: int
    unread: int = 0
    left_out: int = 0


class Curves:
    """The files that were looked at last. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._files: OrderedDict[Path, CurveFile] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, earlier: Path, present: Path, *, text: str = "", limit: int = 24) -> CurvesPage:
        """The charts whose titles have a text in them, as of now; the points of earlier attempts go before."""
        with self._lock:
            before, now = self._updated(earlier), self._updated(present)
            groups = _groups({**before.series, **now.series}, text.lower())
            chosen = list(groups.items())[:limit]
            first = min((series.shown()[0][0] for series in now.series.values()), default=math.inf)
            charts = [
                Chart(title=title, series=[(name, _joined(before, now, name, first)) for name in names])
                for title, names in chosen
            ]
            return CurvesPage(
                charts=charts,
                total=len(groups),
                unread=before.unread + now.unread,
                left_out=len(before.left_out | now.left_out),
            )

    def _updated(self, path: Path) -> CurveFile:
        found = self._files.setdefault(path, CurveFile(path))
        self._files.move_to_end(path)
        while len(self._files) > FILES:
            self._files.popitem(last=False)
        found.update()
        return found


def _groups(series: Mapping[str, Series], text: str) -> dict[str, list[str]]:
    """Names by the title of their chart: `train_loss` and `eval_loss` share one, `loss` and `learning_rate` do not."""
    groups: dict[str, list[str]] = {}
    for name in series:
        title = _SET.sub("", name) or name
        if text in title.lower():
            groups.setdefault(title, []).append(name)
    return groups


def _joined(before: CurveFile, now: CurveFile, name: str, first: float) -> list[Point]:
    """The points of one series: those of earlier attempts up to where the present one begins."""
    points = [point for point in before.series[name].shown() if point[0] < first] if name in before.series else []
    points += now.series[name].shown() if name in now.series else []
    every = -(-len(points) // SHOWN)
    return points if every <= 1 else [*points[:-1:every], points[-1]]


def _numbers(line: bytes) -> Iterator[tuple[str, float]]:
    for name, value in _object(line).items():
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST:
            yield name, float(value)


def _object(line: bytes) -> Mapping[str, object]:
    try:
        return _OBJECT.decode(line)
    except UNREADABLE:
        # Python's own encoder writes NaN, which JSON has not.
        with contextlib.suppress(ValueError, RecursionError):
            found = json.loads(line)
            return found if isinstance(found, dict) else {}
        return {}
