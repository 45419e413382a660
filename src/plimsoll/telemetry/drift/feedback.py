"""The accuracy of a model from its late labels.

River's metrics compute the scores, and its ADWIN (Bifet and Gavaldà 2007) watches the stream of errors. The alarm
compares the newest labels with the accuracy of acceptance, by an exact binomial test.
"""

from __future__ import annotations

import math
from collections import deque
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from plimsoll.errors import MissingExtra
from plimsoll.telemetry.drift.limits import DriftLimits
from plimsoll.telemetry.drift.pending import Label, LabelledPrediction
from plimsoll.telemetry.drift.statistics import scipy_special

RECENT_LABELS = 500
"""The number of newest labels that are compared with the promised accuracy."""
MIN_LABELS = 50
"""Fewest labels for an alarm."""


class _Metric(Protocol):
    """A metric of river."""

    def update(self, y_true: str | float, y_pred: str | float) -> object: ...

    def get(self) -> float: ...


class AccuracyAlarm(Struct, frozen=True, kw_only=True):
    """The newest labels show a lower accuracy than promised."""

    measured: float
    promised: float
    labels: int
    probability: float
    since: datetime

    @property
    def words(self) -> str:
        """For example `accuracy 0.41 on the newest 500 labels, 0.57 was promised; worse since 14:05`."""
        accuracy = f"accuracy {self.measured:.2f} on the newest {self.labels} labels"
        return f"{accuracy}, {self.promised:.2f} was promised; worse since {self.since:%H:%M}"


class AccuracyScores:
    """Scores of a stream of labelled predictions, and the alarm when they are worse than promised.

    `promised` is the accuracy of acceptance. Without it, the accuracy on the first `RECENT_LABELS` labels is used.
    """

    def __init__(self, promised: float | None = None, limits: DriftLimits | None = None) -> None:
        """Set up the metrics. Raises MissingExtra without river."""
        try:
            from river import drift, metrics
        except ImportError:
            raise MissingExtra("drift", "accuracy from late labels") from None
        self.promised = promised
        self.labels = 0
        self.changed: datetime | None = None
        self._limits = limits or DriftLimits()
        self._recent: deque[tuple[datetime, bool]] = deque(maxlen=RECENT_LABELS)
        self._words: dict[str, _Metric] = {"accuracy": metrics.Accuracy(), "macro_f1": metrics.MacroF1()}
        self._numbers: dict[str, _Metric] = {
            "mean_absolute_error": metrics.MAE(),
            "root_mean_squared_error": metrics.RMSE(),
        }
        self._errors = drift.ADWIN(delta=0.002)
        self._numeric = False

    def add(self, pair: LabelledPrediction, at: datetime) -> None:
        """Add a labelled prediction. Floats count as regression; strings and integers count as classes."""
        self.labels += 1
        if isinstance(pair.label, float) or isinstance(pair.prediction, float):
            truth, guess = _as_number(pair.label), _as_number(pair.prediction)
            if truth is None or guess is None:
                return
            self._numeric = True
            for metric in self._numbers.values():
                metric.update(truth, guess)
            self._errors.update(abs(truth - guess))
        else:
            right = str(pair.label) == str(pair.prediction)
            for metric in self._words.values():
                metric.update(str(pair.label), str(pair.prediction))
            self._recent.append((at, right))
            self._errors.update(0.0 if right else 1.0)
            if self.promised is None and len(self._recent) == RECENT_LABELS:
                self.promised = sum(one for _, one in self._recent) / RECENT_LABELS
        if self._errors.drift_detected:
            self.changed = at

    def figures(self) -> dict[str, float]:
        """Scores by name over all labels, and `recent_accuracy` over the newest."""
        chosen = self._numbers if self._numeric else self._words
        figures = {name: float(metric.get()) for name, metric in chosen.items()} if self.labels else {}
        if self._recent:
            figures["recent_accuracy"] = sum(right for _, right in self._recent) / len(self._recent)
        return figures

    def alarm(self) -> AccuracyAlarm | None:
        """The alarm, when chance cannot explain the accuracy on the newest labels."""
        if self.promised is None or len(self._recent) < MIN_LABELS:
            return None
        right = sum(one for _, one in self._recent)
        probability = float(scipy_special().bdtr(right, len(self._recent), self.promised))
        # Each label is a new test, so the level of a day is divided among them, as for windows.
        level = self._limits.daily / 1000
        if probability > level:
            return None
        return AccuracyAlarm(
            measured=right / len(self._recent),
            promised=self.promised,
            labels=len(self._recent),
            probability=probability,
            since=_onset_of_errors(list(self._recent), self.promised),
        )


def _as_number(label: Label) -> float | None:
    """Convert a label to a number; `None` for a string that is not a number, which has no error."""
    try:
        return float(label)
    except ValueError:
        return None


def _onset_of_errors(recent: list[tuple[datetime, bool]], promised: float) -> datetime:
    """The begin of the period until now that contradicts the promise most (by likelihood, as in `onset`)."""
    expected = min(max(promised, 0.001), 0.999)
    best, at, wrong = -math.inf, recent[0][0], 0
    for rows, (when, right) in enumerate(reversed(recent), start=1):
        wrong += not right
        share = wrong / rows
        gain = _likelihood_term(wrong, share, 1 - expected) + _likelihood_term(rows - wrong, 1 - share, expected)
        if share > 1 - expected and gain > best:
            best, at = gain, when
    return at


def _likelihood_term(count: int, share: float, expected: float) -> float:
    return count * math.log(share / expected) if count else 0.0
