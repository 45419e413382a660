"""Monitor the rows of one side of a model: count windows, keep the newest, and judge them at several lengths.

Memory is bounded: rows wait in at most `MAX_WAITING_BYTES` until they are counted, and windows use `MAX_WINDOW_BYTES`.
Rows that do not fit are skipped and reported as skipped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from plimsoll.runtime.tensors import Array
from plimsoll.telemetry.drift.judging import FeatureComparison, judge_window
from plimsoll.telemetry.drift.limits import DriftLimits
from plimsoll.telemetry.drift.onset import onset
from plimsoll.telemetry.drift.reference import SideReference
from plimsoll.telemetry.drift.window import Window, WindowCounter, merge_windows

MIN_WINDOW_SECONDS = 10.0
"""Least length of a window: an alarm comes within a few windows."""
MIN_WINDOW_ROWS = 200
"""Fewest rows of a window, however long they take."""
SPANS = (1, 3, 6, 36)
"""Numbers of newest windows to judge together: for a busy service ten seconds, 30 seconds, one and six minutes.
Long spans find differences that are too small for short ones."""
QUIET_WINDOWS = 6
"""Consecutive windows without the feature's alarm after which the alarm is cleared."""
MAX_WAITING_BYTES = 16 << 20
BATCH_ROWS = 4096
"""Rows to count in one batch."""
MAX_WINDOW_BYTES = 16 << 20


class DriftAlarm(Struct, frozen=True, kw_only=True):
    """The alarm of a feature that differs from training: the decisive test and the begin of the drift."""

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
        """For example `feature hours_idle: KS 0.31, shifted up since 14:05`."""
        what = "feature" if self.side == "input" else "output"
        since = f"since {self.since:%H:%M}"
        return f"{what} {self.feature}: {self.statistic} {self.value:.2g}, {self.direction} {since}"


class AlarmChange(Struct, frozen=True, kw_only=True):
    """An alarm that was raised or cleared at the time `at`."""

    at: datetime
    alarm: DriftAlarm
    raised: bool


class DriftMonitor:
    """Takes rows and returns changes of alarms. Not thread-safe: callers use a lock."""

    def __init__(self, reference: SideReference, begin: datetime, limits: DriftLimits | None = None) -> None:
        self.reference = reference
        self.limits = limits or DriftLimits()
        self.alarms: dict[str, DriftAlarm] = {}
        self.comparisons: tuple[FeatureComparison, ...] = ()
        self.rows = 0
        self.skipped = 0
        self.judged = 0
        self._counting = WindowCounter(reference)
        self._begin = begin
        self._counts, self._missing = self._counting.zero_counts()
        self._rows = 0
        self._waiting: list[Mapping[str, Array]] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0
        size = self._counts.nbytes + self._missing.nbytes + 200
        self._windows: deque[Window] = deque(maxlen=max(6, min(max(SPANS), MAX_WINDOW_BYTES // size)))
        self._quiet: dict[str, int] = {}
        self._positions = {feature.name: position for position, feature in enumerate(reference.features)}

    def add(self, columns: Mapping[str, Array]) -> None:
        """Add rows: columns of equal length by name. The arrays are read later and must not be changed."""
        rows = max((len(column) for column in columns.values()), default=0)
        size = sum(column.nbytes for column in columns.values())
        if self._waiting_bytes + size > MAX_WAITING_BYTES and self._waiting:
            self.count()
        if size > MAX_WAITING_BYTES:
            self.skipped += rows
            return
        self._waiting.append(columns)
        self._waiting_rows += rows
        self._waiting_bytes += size
        if self._waiting_rows >= BATCH_ROWS:
            self.count()

    def count(self) -> None:
        """Count the waiting rows."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        names = {name for columns in waiting for name in columns}
        together = {name: _concatenate([columns[name] for columns in waiting if name in columns]) for name in names}
        self._counting.add(together, self._counts, self._missing)
        self._rows += self._waiting_rows
        self.rows += self._waiting_rows
        self._waiting_rows = self._waiting_bytes = 0

    def tick(self, now: datetime) -> tuple[AlarmChange, ...]:
        """Close and judge the window when it is long and full enough. Returns the changes of alarms."""
        if (
            now - self._begin
        ).total_seconds() < MIN_WINDOW_SECONDS or self._rows + self._waiting_rows < MIN_WINDOW_ROWS:
            return ()
        self.count()
        window = Window(begin=self._begin, end=now, rows=self._rows, counts=self._counts, missing=self._missing)
        self._counts, self._missing = self._counting.zero_counts()
        self._rows, self._begin = 0, now
        self._windows.append(window)
        return self._judged(now)

    def _judged(self, now: datetime) -> tuple[AlarmChange, ...]:
        windows = list(self._windows)
        seconds = (windows[-1].end - windows[-1].begin).total_seconds()
        level = self.limits.window_level(seconds, len(SPANS))
        self.judged += 1
        found: dict[str, FeatureComparison] = {}
        for span in SPANS:
            if span > 1 and len(windows) < 2:
                break
            compared = judge_window(self.reference, merge_windows(windows[-span:]), level, self.limits)
            if span == 1:
                self.comparisons = compared
            # The shortest span with an alarm describes the present state best.
            found = {one.feature: one for one in compared if one.alarm} | found
        self.comparisons = tuple(
            replace(one, alarm=one.feature in found or one.feature in self.alarms) for one in self.comparisons
        )
        return (*self._raised(found, windows, now), *self._cleared(found, now))

    def _raised(
        self, found: Mapping[str, FeatureComparison], windows: list[Window], now: datetime
    ) -> list[AlarmChange]:
        changes = []
        for name, one in found.items():
            self._quiet[name] = 0
            if name in self.alarms:
                before = self.alarms[name]
                self.alarms[name] = replace(before, value=one.value, statistic=one.statistic, direction=one.direction)
                continue
            alarm = DriftAlarm(
                feature=name,
                side=one.side,
                statistic=one.statistic,
                value=one.value,
                probability=one.probability,
                direction=one.direction,
                since=onset(self.reference, self._positions[name], windows),
                raised=now,
                rows=one.rows,
            )
            self.alarms[name] = alarm
            changes.append(AlarmChange(at=now, alarm=alarm, raised=True))
        return changes

    def _cleared(self, found: Mapping[str, FeatureComparison], now: datetime) -> list[AlarmChange]:
        changes = []
        for name in [name for name in self.alarms if name not in found]:
            self._quiet[name] += 1
            if self._quiet[name] >= QUIET_WINDOWS:
                changes.append(AlarmChange(at=now, alarm=self.alarms.pop(name), raised=False))
        return changes


def _concatenate(arrays: list[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
