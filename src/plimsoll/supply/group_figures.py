"""Figures of a model overall and by group, from the rows that its training held out. Pure.

Each row has a label and a prediction, and may have a score: how sure the model is of the positive class.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

MOST_GROUPS = 40
"""Values of a column that are listed, the most frequent ones; the rest are one group."""
FEW = 30
"""Rows below which a figure says little."""
MOST_WHOLE_CLASSES = 30
"""Different whole numbers up to which they are classes and not measurements."""
POSITIVE = {"1": "0", "true": "false", "yes": "no"}
"""Classes that are positive by their name, each with the other one."""


class HeldOut(Struct, frozen=True, kw_only=True):
    """One row that was held out; `groups` has its value in each column that figures are asked for by."""

    label: str
    prediction: str
    score: float | None = None
    groups: tuple[str, ...] = ()


class Group(Struct, frozen=True, kw_only=True):
    """The rows with one value in a column, and their figures. `few`: so few that the figures say little."""

    column: str
    value: str
    rows: int
    figures: Mapping[str, float]
    few: bool = False


class Judged(Struct, frozen=True, kw_only=True):
    """The figures of all rows and of each group; `positive` is the class that precision and recall are of."""

    source: str
    rows: int
    figures: Mapping[str, float]
    groups: tuple[Group, ...] = ()
    positive: str = ""
    notes: tuple[str, ...] = ()


def judge(rows: Sequence[HeldOut], columns: Sequence[str], source: str, notes: Sequence[str] = ()) -> Judged:
    """The figures of rows, and of those with each value of the columns that their `groups` are of."""
    as_numbers = _are_measurements(rows)
    positive = "" if as_numbers else _positive(rows)

    def figures(some: Sequence[HeldOut]) -> Mapping[str, float]:
        return _of_numbers(some) if as_numbers else _of_classes(some, positive)

    groups = [group for place, column in enumerate(columns) for group in _groups(rows, place, column, figures)]
    return Judged(
        source=source,
        rows=len(rows),
        figures=figures(rows) if rows else {},
        groups=tuple(groups),
        positive=positive,
        notes=tuple(notes),
    )


def _groups(
    rows: Sequence[HeldOut], place: int, column: str, figures: Callable[[Sequence[HeldOut]], Mapping[str, float]]
) -> Iterator[Group]:
    """The rows by their value in one column, the most frequent values first; the rest is one group at the end."""
    counts = Counter(row.groups[place] for row in rows)
    listed = [value for value, _ in counts.most_common(MOST_GROUPS)]
    found: dict[str | None, list[HeldOut]] = {value: [] for value in listed}
    for row in rows:
        value = row.groups[place]
        found.setdefault(value if value in found else None, []).append(row)
    for value_, some in found.items():
        name = value_ if value_ is not None else f"{len(counts) - len(listed)} other values"
        yield Group(column=column, value=name, rows=len(some), figures=figures(some), few=len(some) < FEW)


def _positive(rows: Sequence[HeldOut]) -> str:
    """The class that is positive by its name, where there are only it and its opposite; else empty."""
    classes = {_class(text) for row in rows for text in (row.label, row.prediction)}
    return next((yes for yes, no in POSITIVE.items() if yes in classes and classes <= {yes, no}), "")


def _class(text: str) -> str:
    """`1` and `1.0` are the same class, and so are `True` and `true`."""
    value = number(text)
    return f"{value:.0f}" if value is not None and value.is_integer() else text.casefold()


def _of_classes(rows: Sequence[HeldOut], positive: str) -> dict[str, float]:
    pairs = [(_class(row.label), _class(row.prediction)) for row in rows]
    found = {"accuracy": sum(label == prediction for label, prediction in pairs) / len(pairs)}
    if not positive:
        return found
    hits = sum(label == prediction == positive for label, prediction in pairs)
    labelled = sum(label == positive for label, _ in pairs)
    told = sum(prediction == positive for _, prediction in pairs)
    found["positives"] = float(labelled)
    # What cannot be divided is left out: a group without a positive row has no recall.
    if labelled:
        found["recall"] = hits / labelled
    if told:
        found["precision"] = hits / told
    if len(pairs) > labelled:
        found["false_positive_rate"] = (told - hits) / (len(pairs) - labelled)
    scored = [(row.score, label == positive) for row, (label, _) in zip(rows, pairs, strict=True)]
    known = [(score, is_positive) for score, is_positive in scored if score is not None]
    if labelled and len(known) == len(rows):
        found["average_precision"] = average_precision(known)
    return found


def average_precision(scored: Iterable[tuple[float, bool]]) -> float:
    """The area under precision over recall, as a sum over the scores; rows of one score count together."""
    ordered = sorted(scored, key=lambda pair: -pair[0])
    total = sum(is_positive for _, is_positive in ordered)
    area, hits, seen, at = 0.0, 0, 0, 0
    while at < len(ordered):
        score, gained = ordered[at][0], 0
        while at < len(ordered) and ordered[at][0] == score:
            gained += ordered[at][1]
            at += 1
        seen, hits = at, hits + gained
        area += gained * hits / seen
    return area / total if total else 0.0


def _of_numbers(rows: Sequence[HeldOut]) -> dict[str, float]:
    errors = [_error(row) for row in rows]
    widest = max(*map(abs, errors), 1e-300)
    return {
        "mean_error": math.fsum(errors) / len(errors),
        "mean_absolute_error": math.fsum(map(abs, errors)) / len(errors),
        "rms_error": widest * math.sqrt(math.fsum((error / widest) ** 2 for error in errors) / len(errors)),
    }


def _error(row: HeldOut) -> float:
    """Prediction minus label, cut where the sums of the largest numbers would be infinite."""
    label, prediction = number(row.label), number(row.prediction)
    assert label is not None  # noqa: S101 - all of them are numbers
    assert prediction is not None  # noqa: S101 - as above
    return min(max(prediction - label, -1e150), 1e150)


def _are_measurements(rows: Sequence[HeldOut]) -> bool:
    """Whether labels and predictions are numbers, and not words or few whole numbers."""
    values: set[float] = set()
    for row in rows:
        for text in (row.label, row.prediction):
            value = number(text)
            if value is None:
                return False
            values.add(value)
    return bool(values) and not (len(values) <= MOST_WHOLE_CLASSES and all(each.is_integer() for each in values))


def number(text: str) -> float | None:
    """A finite number, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
