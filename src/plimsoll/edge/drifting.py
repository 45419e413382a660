"""The drift of devices from what they have sent: each device by itself, and all together as one service.

The counts of devices add up: what no device has enough rows to show, all of them may show. Needs the extra `drift`,
which the owner of a group has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from msgspec import Struct

from plimsoll.edge.drift_view import GroupDrift
from plimsoll.edge.sent_lines import Sent
from plimsoll.runtime.tensors import Array
from plimsoll.telemetry.drift.columns import input_columns, output_columns, prediction_column
from plimsoll.telemetry.drift.feedback import AccuracyScores
from plimsoll.telemetry.drift.judging import judge_window
from plimsoll.telemetry.drift.limits import DriftLimits
from plimsoll.telemetry.drift.pending import Label, LabelledPrediction
from plimsoll.telemetry.drift.reference import DriftReference
from plimsoll.telemetry.drift.state import DriftState
from plimsoll.telemetry.drift.window import Window, WindowCounter

TOGETHER_ROWS = 1024
"""Answers that are counted at once."""
DAY = 86_400.0


class Watched(Struct, frozen=True, kw_only=True):
    """A version that can be compared: its reference, and the accuracy of its acceptance."""

    reference: DriftReference
    promised: float | None = None


class _Counted:
    """What was counted of one version on one device, or on all."""

    def __init__(self, watched: Watched, model: str, version: str) -> None:
        self.watched = watched
        self.model, self.version = model, version
        self.rows = self.skipped = 0
        self.begin = self.end = datetime.now(UTC)
        self.pairs: list[tuple[datetime, LabelledPrediction]] = []
        self._sides = (watched.reference.inputs, watched.reference.outputs)
        self._counters = tuple(WindowCounter(side) for side in self._sides)
        self.counts = [counter.zero_counts() for counter in self._counters]

    def add(self, group: Sequence[Sent], labels: Mapping[tuple[str, int], Label]) -> None:
        """Count answers of one shape."""
        spec = self.watched.reference.spec
        outputs = output_columns(_joined([each.outputs or {} for each in group]), spec)
        columns = (input_columns(_joined([each.inputs or {} for each in group]), spec), outputs)
        for counter, side, (counts, missing) in zip(self._counters, columns, self.counts, strict=True):
            counter.add(side, counts, missing)
        times = [each.at for each in group]
        self.begin, self.end = min(self.begin, *times), max(self.end if self.rows else min(times), *times)
        predictions = prediction_column(outputs)
        values = predictions.tolist() if predictions is not None else []
        row = self.rows
        for each in group:
            self.rows += each.rows
            for number in range(each.rows):
                label = labels.get((each.id, number))
                place = self.rows - row - each.rows + number
                if label is not None and place < len(values):
                    pair = LabelledPrediction(prediction=values[place], label=label, late=0.0)
                    self.pairs.append((each.at, pair))

    def merge(self, other: _Counted) -> None:
        """Add what was counted elsewhere."""
        for (counts, missing), (more, absent) in zip(self.counts, other.counts, strict=True):
            np.add(counts, more, out=counts)
            np.add(missing, absent, out=missing)
        self.begin = min(self.begin, other.begin)
        self.end = max(self.end if self.rows else other.end, other.end)
        self.rows += other.rows
        self.skipped += other.skipped
        self.pairs += other.pairs

    def state(self, limits: DriftLimits) -> DriftState:
        """What is judged of all of it, as one window."""
        alarms = []
        seconds = max(1.0, (self.end - self.begin).total_seconds())
        level = limits.window_level(max(seconds, DAY), 1)
        judged = 0
        for side, (counts, missing) in zip(self._sides, self.counts, strict=True):
            window = Window(begin=self.begin, end=self.end, rows=self.rows, counts=counts, missing=missing)
            compared = judge_window(side, window, level, limits) if self.rows else ()
            judged = max(judged, len(compared))
            what = "feature" if side.side == "input" else "output"
            alarms += [
                f"{what} {one.feature}: {one.statistic} {one.value:.2g}, {one.direction} in {one.rows} rows"
                for one in compared
                if one.alarm
            ]
        scores = AccuracyScores(self.watched.promised, limits) if self.pairs else None
        for at, pair in sorted(self.pairs, key=lambda each: each[0]) if scores else ():
            scores.add(pair, at)  # type: ignore[union-attr]  # pairs are there only with scores
        worse = scores.alarm() if scores else None
        return DriftState(
            model=self.model,
            version=self.version,
            rows=self.rows,
            skipped=self.skipped,
            windows=int(judged > 0),
            alarms=(*alarms, *([worse.words] if worse else [])),
            scores=scores.figures() if scores else {},
            labels=scores.labels if scores else 0,
            changed=scores.changed if scores else None,
        )


def judge_drift(
    sent: Mapping[str, Iterable[Sent]], watched: Mapping[str, Watched], labels: Mapping[tuple[str, int], Label]
) -> GroupDrift:
    """The drift of devices by name. `watched` are the versions that can be compared, by digest."""
    limits = DriftLimits()
    together: dict[str, _Counted] = {}
    devices: dict[str, tuple[DriftState, ...]] = {}
    for device, answers in sent.items():
        found = _counted(answers, watched, labels)
        devices[device] = tuple(each.state(limits) for each in found.values())
        for digest, each in found.items():
            if digest in together:
                together[digest].merge(each)
            else:
                together[digest] = each
    states = sorted((each.state(limits) for each in together.values()), key=lambda each: (each.model, each.version))
    return GroupDrift(judged=datetime.now(UTC), together=tuple(states), devices=devices)


def _counted(
    answers: Iterable[Sent], watched: Mapping[str, Watched], labels: Mapping[tuple[str, int], Label]
) -> dict[str, _Counted]:
    found: dict[str, _Counted] = {}
    waiting: dict[tuple[object, ...], list[Sent]] = {}
    for each in answers:
        version = watched.get(each.digest)
        if version is None:
            continue
        counted = found.setdefault(each.digest, _Counted(version, each.model, each.version))
        if each.inputs is None or each.outputs is None or not _whole(each):
            counted.skipped += each.rows
            continue
        group = waiting.setdefault((each.digest, *_shape(each)), [])
        group.append(each)
        if len(group) >= TOGETHER_ROWS:
            counted.add(group, labels)
            group.clear()
    for key, group in waiting.items():
        if group:
            found[str(key[0])].add(group, labels)
    return found


def _whole(each: Sent) -> bool:
    """Whether each tensor has a value for each row."""
    tensors = (*(each.inputs or {}).values(), *(each.outputs or {}).values())
    return all(array.ndim and len(array) == each.rows for array in tensors)


def _shape(each: Sent) -> tuple[object, ...]:
    tensors = (*(each.inputs or {}).items(), *(each.outputs or {}).items())
    return tuple((name, array.dtype.str, array.shape[1:]) for name, array in tensors)


def _joined(tensors: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([each[name] for each in tensors]) for name in tensors[0]}
