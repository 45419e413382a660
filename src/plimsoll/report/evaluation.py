"""What a model predicted beside the true labels: a confusion matrix of classes, or the residuals of numbers. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct

MOST_CLASSES = 9
"""Classes of a matrix: the most frequent ones. The rest are one more row and column."""
MOST_WHOLE_CLASSES = 30
"""Different whole numbers up to which they are classes and not measurements."""
OTHERS = "other classes"
MOST_DOTS = 400
BINS = 21


class ConfusionRow(Struct, frozen=True, kw_only=True):
    """The rows with one label: how many there are, and how many of them got each prediction."""

    label: str
    rows: int
    predicted: tuple[int, ...]


class Confusion(Struct, frozen=True, kw_only=True):
    """A row for each label; column n is the prediction of row n's label. `merged` counts classes without a row."""

    rows: tuple[ConfusionRow, ...]
    count: int
    right: int
    merged: int = 0


class Residuals(Struct, frozen=True, kw_only=True):
    """Predictions minus labels. `bins` counts them from `low` to `high`; `dots` are label and prediction, 0 to 1."""

    count: int
    mean: float
    absolute: float
    root: float
    low: float
    high: float
    bins: tuple[int, ...]
    dots: tuple[tuple[float, float], ...]
    least: float
    most: float


class Evaluation(Struct, frozen=True, kw_only=True):
    """Predictions beside labels, and where they are from; `note` says what is left out or why there is nothing."""

    source: str
    confusion: Confusion | None = None
    residuals: Residuals | None = None
    note: str = ""


def evaluate(pairs: Iterable[tuple[str, str]], source: str, note: str = "") -> Evaluation:
    """Judge pairs of label and prediction: words and few whole numbers as classes, other numbers by their errors."""
    known = [(label.strip(), prediction.strip()) for label, prediction in pairs]
    if not known:
        return Evaluation(source=source, note=note or "it has no rows")
    numbers = [(_number(label), _number(prediction)) for label, prediction in known]
    finite = [(label, prediction) for label, prediction in numbers if label is not None and prediction is not None]
    if len(finite) < len(known) or _are_classes(finite):
        return Evaluation(source=source, confusion=_confusion(known, whole=len(finite) == len(known)), note=note)
    return Evaluation(source=source, residuals=_residuals(finite), note=note)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _are_classes(numbers: Sequence[tuple[float, float]]) -> bool:
    different = {value for pair in numbers for value in pair}
    return len(different) <= MOST_WHOLE_CLASSES and all(value.is_integer() for value in different)


def _confusion(pairs: Sequence[tuple[str, str]], *, whole: bool) -> Confusion:
    if whole:
        # `1` and `1.0` are the same class.
        pairs = [(f"{float(label):.0f}", f"{float(prediction):.0f}") for label, prediction in pairs]
    often = Counter(word for pair in pairs for word in pair)
    labels = sorted(often, key=lambda word: (-often[word], word))
    kept = labels if len(labels) <= MOST_CLASSES + 1 else labels[:MOST_CLASSES]
    merged = len(labels) - len(kept)
    kept = sorted(kept, key=lambda word: (float(word), word)) if whole else kept
    names = [*kept, OTHERS] if merged else kept
    place = {word: number for number, word in enumerate(kept)}
    counts = Counter((place.get(label, len(kept)), place.get(prediction, len(kept))) for label, prediction in pairs)
    rows = [
        ConfusionRow(
            label=name,
            rows=sum(counts[number, other] for other in range(len(names))),
            predicted=tuple(counts[number, other] for other in range(len(names))),
        )
        for number, name in enumerate(names)
    ]
    right = sum(label == prediction for label, prediction in pairs)
    return Confusion(rows=tuple(rows), count=len(pairs), right=right, merged=merged)


def _residuals(pairs: Sequence[tuple[float, float]]) -> Residuals:
    # Errors are cut, because the squares and sums of the largest numbers are infinite.
    errors = [min(max(prediction - label, -1e150), 1e150) for label, prediction in pairs]
    count = len(errors)
    widest = max(*map(abs, errors), 1e-300)
    bins = [0] * BINS
    for error in errors:
        bins[min(int((error / widest + 1) / 2 * BINS), BINS - 1)] += 1
    values = [value for pair in pairs for value in pair]
    least, most = min(values), max(values)

    def share(value: float) -> float:
        return (value / 2 - least / 2) / (most / 2 - least / 2) if most / 2 > least / 2 else 0.5

    thin = pairs[:: -(-count // MOST_DOTS)]
    return Residuals(
        count=count,
        mean=math.fsum(errors) / count,
        absolute=math.fsum(map(abs, errors)) / count,
        root=widest * math.sqrt(math.fsum((error / widest) ** 2 for error in errors) / count),
        low=-widest,
        high=widest,
        bins=tuple(bins),
        dots=tuple((share(label), share(prediction)) for label, prediction in thin),
        least=least,
        most=most,
    )
