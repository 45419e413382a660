"""The stream of rows of one side of a model: windows are counted, kept for a while, and judged at several lengths.

Memory is bounded: rows wait in at most `WAITING` bytes until they are counted, and the windows that are kept have
`KEPT` bytes together. What comes beyond the first is not counted and said to be skipped, a random loss in time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from plimsoll.runtime.tensors import Array
from plimsoll.telemetry.drift.judging import Comparison, judge
from plimsoll.telemetry.drift.limits import Limits
from plimsoll.telemetry.drift.onset import onset
from plimsoll.telemetry.drift.reference import Reference
from plimsoll.telemetry.drift.window import Counting, Window, merged

SECONDS = 10.0
"""A window is at least as long: an alarm comes within a few of them."""
FEWEST_ROWS = 200
"""A window has at least as many rows, however long that takes."""
SPANS = (1, 3, 6, 36)
"""Windows that are judged together, up to the newest: ten seconds, half a minute, a minute, six of a busy service.
The long ones find what is too small for the short ones."""
CALM = 6
"""Windows in a row without the feature alarming until an alarm is cleared."""
WAITING = 16 << 20
BATCH = 4096
"""Rows that are counted at once."""
KEPT = 16 << 20


class Alarm(Struct, frozen=True, kw_only=True):
    """A feature that is not what it was in training: since when, and how it was found."""

    feature: str
    side: str
    statistic: str
    value: float
    probability: float
    direction: str
    since: datetime
    raised: datetime
    rows: int

    @property
    def words(self) -> str:
        """Such as `feature hours_idle: KS 0.31, shifted up since 14:05`."""
        what = "feature" if self.side == "input" else "output"
        since = f"since {self.since:%H:%M}"
        return f"{what} {self.feature}: {self.statistic} {self.value:.2g}, {self.direction} {since}"


class Change(Struct, frozen=True, kw_only=True):
    """An alarm that was raised or cleared at a time."""

    at: datetime
    alarm: Alarm
    raised: bool


class Monitor:
    """Rows in, changes of alarms out. Not safe for several threads: one feeds it and asks it."""

    def __init__(self, reference: Reference, begin: datetime, limits: Limits | None = None) -> None:
        self.reference = reference
        self.limits = limits or Limits()
        self.alarms: dict[str, Alarm] = {}
        self.comparisons: tuple[Comparison, ...] = ()
        self.rows = 0
        self.skipped = 0
        self.judged = 0
        self._counting = Counting(reference)
        self._begin = begin
        self._counts, self._missing = self._counting.nothing()
        self._rows = 0
        self._waiting: list[Mapping[str, Array]] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0
        size = self._counts.nbytes + self._missing.nbytes + 200
        self._windows: deque[Window] = deque(maxlen=max(6, min(max(SPANS), KEPT // size)))
        self._quiet: dict[str, int] = {}
        self._places = {feature.name: place for place, feature in enumerate(reference.features)}

    def add(self, columns: Mapping[str, Array]) -> None:
        """Take rows: columns of equal length by name. The arrays are read later and must not be written to."""
        rows = max((len(column) for column in columns.values()), default=0)
        size = sum(column.nbytes for column in columns.values())
        if self._waiting_bytes + size > WAITING and self._waiting:
            self.count()
        if size > WAITING:
            self.skipped += rows
            return
        self._waiting.append(columns)
        self._waiting_rows += rows
        self._waiting_bytes += size
        if self._waiting_rows >= BATCH:
            self.count()

    def count(self) -> None:
        """Count the rows that wait."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        names = {name for columns in waiting for name in columns}
        together = {name: _joined([columns[name] for columns in waiting if name in columns]) for name in names}
        self._counting.add(together, self._counts, self._missing)
        self._rows += self._waiting_rows
        self.rows += self._waiting_rows
        self._waiting_rows = self._waiting_bytes = 0

    def tick(self, now: datetime) -> tuple[Change, ...]:
        """Close and judge the window when it is long and full enough; gives what has changed."""
        if (now - self._begin).total_seconds() < SECONDS or self._rows + self._waiting_rows < FEWEST_ROWS:
            return ()
        self.count()
        window = Window(begin=self._begin, end=now, rows=self._rows, counts=self._counts, missing=self._missing)
        self._counts, self._missing = self._counting.nothing()
        self._rows, self._begin = 0, now
        self._windows.append(window)
        return self._judged(now)

    def _judged(self, now: datetime) -> tuple[Change, ...]:
        windows = list(self._windows)
        seconds = (windows[-1].end - windows[-1].begin).total_seconds()
        level = self.limits.of_window(seconds, len(SPANS))
        self.judged += 1
        found: dict[str, Comparison] = {}
        for span in SPANS:
            if span > 1 and len(windows) < 2:
                break
            compared = judge(self.reference, merged(windows[-span:]), level, self.limits)
            if span == 1:
                self.comparisons = compared
            # The shortest span that alarms says best how things are now.
            found = {one.feature: one for one in compared if one.alarm} | found
        self.comparisons = tuple(
            replace(one, alarm=one.feature in found or one.feature in self.alarms) for one in self.comparisons
        )
        return (*self._raised(found, windows, now), *self._cleared(found, now))

    def _raised(self, found: Mapping[str, Comparison], windows: list[Window], now: datetime) -> list[Change]:
        changes = []
        for name, one in found.items():
            self._quiet[name] = 0
            if name in self.alarms:
                before = self.alarms[name]
                told = replace(before, value=one.value, statistic=one.statistic, direction=one.direction)
                self.alarms[name] = told
                continue
            alarm = Alarm(
                feature=name,
                side=one.side,
                statistic=one.statistic,
                value=one.value,
                probability=one.probability,
                direction=one.direction,
                since=onset(self.reference, self._places[name], windows),
                raised=now,
                rows=one.rows,
            )
            self.alarms[name] = alarm
            changes.append(Change(at=now, alarm=alarm, raised=True))
        return changes

    def _cleared(self, found: Mapping[str, Comparison], now: datetime) -> list[Change]:
        changes = []
        for name in [name for name in self.alarms if name not in found]:
            self._quiet[name] += 1
            if self._quiet[name] >= CALM:
                changes.append(Change(at=now, alarm=self.alarms.pop(name), raised=False))
        return changes


def _joined(arrays: list[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
