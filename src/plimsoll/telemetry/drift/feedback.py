"""Late labels: joined to the predictions that they belong to, and what they say of the model's accuracy.

Memory is bounded: predictions are remembered by request id, the newest `REMEMBERED` for at most `OLDEST` seconds. A
label without a prediction is counted and changes nothing; of several labels for one prediction the first counts.

River's metrics hold the figures and its ADWIN (Bifet and Gavaldà 2007) watches the stream of errors; the alarm compares
the newest labels with what the model was accepted with, by an exact binomial test.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from datetime import datetime
from typing import Any

from msgspec import Struct

from plimsoll.errors import MissingExtra
from plimsoll.telemetry.drift.limits import Limits
from plimsoll.telemetry.drift.statistics import special

REMEMBERED = 100_000
OLDEST = 7 * 86_400.0
RECENT = 500
"""Labels that are compared with what was promised: the newest ones."""
FEWEST = 50
"""Labels below which nothing is said."""

Label = str | int | float


class Joined(Struct, frozen=True, kw_only=True):
    """A prediction and its label. `late` is in seconds."""

    prediction: Label
    label: Label
    late: float


class Memory:
    """Predictions that wait for their labels."""

    def __init__(self, most: int = REMEMBERED, oldest: float = OLDEST) -> None:
        self.most, self.oldest = most, oldest
        self.unmatched = 0
        self.forgotten = 0
        self._waiting: OrderedDict[str, tuple[float, Label]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, identity: str) -> bool:
        return identity in self._waiting

    def remember(self, identity: str, prediction: Label, at: float) -> None:
        """Keep a prediction, made at a time in seconds since the epoch. The same id again replaces it."""
        self._waiting.pop(identity, None)
        self._waiting[identity] = (at, prediction)
        while len(self._waiting) > self.most or self._oldest_age(at) > self.oldest:
            self._waiting.popitem(last=False)
            self.forgotten += 1

    def join(self, identity: str, label: Label, at: float) -> Joined | None:
        """The pair, once; `None` when there is no such prediction, or no longer."""
        found = self._waiting.pop(identity, None)
        if found is None or at - found[0] > self.oldest:
            self.unmatched += 1
            return None
        return Joined(prediction=found[1], label=label, late=max(0.0, at - found[0]))

    def _oldest_age(self, now: float) -> float:
        return now - next(iter(self._waiting.values()))[0] if self._waiting else 0.0


class AccuracyAlarm(Struct, frozen=True, kw_only=True):
    """The newest labels say that the model does worse than promised."""

    measured: float
    promised: float
    labels: int
    probability: float
    since: datetime

    @property
    def words(self) -> str:
        """Such as `accuracy 0.41 on the newest 500 labels, 0.57 was promised; worse since 14:05`."""
        told = f"accuracy {self.measured:.2f} on the newest {self.labels} labels"
        return f"{told}, {self.promised:.2f} was promised; worse since {self.since:%H:%M}"


class Scores:
    """Figures of a stream of pairs, and whether they are worse than promised.

    `promised` is the accuracy that the model was accepted with; without it the first `RECENT` labels are the measure.
    """

    def __init__(self, promised: float | None = None, limits: Limits | None = None) -> None:
        """Raises MissingExtra without river."""
        try:
            from river import drift, metrics
        except ImportError:
            raise MissingExtra("drift", "accuracy from late labels") from None
        self.promised = promised
        self.labels = 0
        self.changed: datetime | None = None
        self._limits = limits or Limits()
        self._recent: deque[tuple[datetime, bool]] = deque(maxlen=RECENT)
        self._words: dict[str, Any] = {"accuracy": metrics.Accuracy(), "macro_f1": metrics.MacroF1()}
        self._numbers: dict[str, Any] = {
            "mean_absolute_error": metrics.MAE(),
            "root_mean_squared_error": metrics.RMSE(),
        }
        self._errors = drift.ADWIN(delta=0.002)
        self._numeric = False

    def add(self, pair: Joined, at: datetime) -> None:
        """Take one pair. Fractions are judged as regression, words and whole numbers as classes."""
        self.labels += 1
        if isinstance(pair.label, float) or isinstance(pair.prediction, float):
            truth, guess = _number(pair.label), _number(pair.prediction)
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
            if self.promised is None and len(self._recent) == RECENT:
                self.promised = sum(one for _, one in self._recent) / RECENT
        if self._errors.drift_detected:
            self.changed = at

    def figures(self) -> dict[str, float]:
        """Every figure by name, over all labels, and `recent_accuracy` over the newest."""
        chosen = self._numbers if self._numeric else self._words
        figures = {name: float(metric.get()) for name, metric in chosen.items()} if self.labels else {}
        if self._recent:
            figures["recent_accuracy"] = sum(right for _, right in self._recent) / len(self._recent)
        return figures

    def alarm(self) -> AccuracyAlarm | None:
        """Whether the newest labels are so bad that chance is no explanation."""
        if self.promised is None or len(self._recent) < FEWEST:
            return None
        right = sum(one for _, one in self._recent)
        probability = float(special().bdtr(right, len(self._recent), self.promised))
        # Labels are judged one after another: a level for each of a day's labels, as for windows.
        level = self._limits.daily / 1000
        if probability > level:
            return None
        return AccuracyAlarm(
            measured=right / len(self._recent),
            promised=self.promised,
            labels=len(self._recent),
            probability=probability,
            since=_worse_since(list(self._recent), self.promised),
        )


def _number(label: Label) -> float | None:
    """A label as a number; `None` for a word that is none, which no error can be measured from."""
    try:
        return float(label)
    except ValueError:
        return None


def _worse_since(recent: list[tuple[datetime, bool]], promised: float) -> datetime:
    """The begin of the stretch to the end that is worst for the promise (likelihood, as in `onset`)."""
    expected = min(max(promised, 0.001), 0.999)
    best, at, wrong = -math.inf, recent[0][0], 0
    for rows, (when, right) in enumerate(reversed(recent), start=1):
        wrong += not right
        share = wrong / rows
        gain = _term(wrong, share, 1 - expected) + _term(rows - wrong, 1 - share, expected)
        if share > 1 - expected and gain > best:
            best, at = gain, when
    return at


def _term(count: int, share: float, expected: float) -> float:
    return count * math.log(share / expected) if count else 0.0
