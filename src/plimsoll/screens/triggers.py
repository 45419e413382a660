"""Rare values and words that decide a label against all else that their rows have: what a backdoor looks like.

A rare value that decides a label is nothing odd by itself: a word of a fault names the fault. A trigger decides it for
rows that otherwise look like another class. So each rare pattern is asked twice: whether its rows have one label while
the rows beside them that lack it have others, and whether trees that have seen no row with it would say another label.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from msgspec import Struct

from plimsoll.runtime.tensors import Array
from plimsoll.screens.forests import forest
from plimsoll.screens.labels import LEAST_ROWS
from plimsoll.screens.material import Material, nearest
from plimsoll.screens.outcomes import Measured, Outcome, Unmeasured, finding
from plimsoll.telemetry.drift.binning import split_words

LEAST, MOST_SHARE = 8, 0.05
"""A pattern is rare when it is in at least so many rows, and in at most this share of them."""
PURE = 0.95
"""The share of its rows with the label that a pattern decides."""
ELSEWHERE = 0.5
"""The share of that label, in rows beside and by the trees, up to which the rest speaks against it."""
MOST_TRIED = 40
"""Patterns that are asked the second time: those with the most rows."""
MOST_WORDS = 20_000
TREES = 60


class Pattern(Struct, frozen=True):
    """A value of a column, or a word in it, with the positions of its rows in the sample and the label it decides."""

    column: str
    kind: str
    rows: Array
    label: int


def triggers(material: Material) -> Iterator[Outcome]:
    """How many patterns are like triggers, and where they are."""
    reason = material.no_classes()
    if not reason and len(material.sample) < LEAST_ROWS:
        reason = f"there are {len(material.sample)} rows with a label, and {LEAST_ROWS} are needed"
    if reason or not material.points[0].shape[1]:
        yield Unmeasured("triggers", reason or "no column is left to look at")
        return
    labels = material.labels[material.sample]
    asked = sorted(_odd_beside(material, labels), key=lambda each: -len(each.rows))[:MOST_TRIED]
    found = list(_against_the_rest(material.points[0], labels, asked)) if asked else []
    yield Measured("triggers", float(len(found)))
    for each in found:
        what = f"{each.kind} of {len(each.rows)} rows decides their label against all else that they have"
        numbers = material.learnt.numbers[material.sample[each.rows]]
        yield finding("triggers", what, numbers, column=each.column)


def patterns(material: Material, labels: Array) -> Iterator[Pattern]:
    """The rare values and words whose rows have one label."""
    for name, column in material.features.items():
        some = column[material.sample]
        for kind, rows in _rare(some):
            counts = np.bincount(labels[rows])
            label = int(counts.argmax())
            if counts[label] >= PURE * len(rows):
                yield Pattern(name, kind, rows, label)


def _rare(column: Array) -> Iterator[tuple[str, Array]]:
    most = int(MOST_SHARE * len(column))
    if column.dtype.kind != "O":
        order = np.argsort(column, kind="stable")
        values, first, counts = np.unique(column[order], return_index=True, return_counts=True)
        for value, start, count in zip(values.tolist(), first.tolist(), counts.tolist(), strict=True):
            if LEAST <= count <= most and np.isfinite(value):
                yield "one value", order[start : start + count]
        return
    whole: dict[str, list[int]] = defaultdict(list)
    words: dict[str, list[int]] = defaultdict(list)
    for place, value in enumerate(column.tolist()):
        if value is None:
            continue
        whole[value].append(place)
        for word in set(split_words(value)):
            if word in words or len(words) < MOST_WORDS:
                words[word].append(place)
    seen: set[tuple[int, ...]] = set()
    for kind, found in (("one value", whole), ("one word", words)):
        for rows in found.values():
            if LEAST <= len(rows) <= most and tuple(rows) not in seen:
                seen.add(tuple(rows))
                yield kind, np.array(rows)


def _odd_beside(material: Material, labels: Array) -> Iterator[Pattern]:
    """The patterns whose label is rarer among the neighbours of their rows than by chance, or than half.

    Rows are near by what tells labels: each axis counts as much as trees have made of it. Neighbours that have the
    pattern too say nothing.
    """
    found = list(patterns(material, labels))
    if not found:
        return
    points = material.points[0] * np.sqrt(material.unseen.weights * material.points[0].shape[1]).astype(np.float32)
    beside = nearest(points, points, itself=True)
    shares = np.bincount(labels) / len(labels)
    for each in found:
        near = beside[each.rows]
        lacks = ~np.isin(near, each.rows)
        share = float((labels[near] == each.label)[lacks].mean()) if lacks.any() else 0.0
        usual = float(shares[each.label])
        if share <= max(ELSEWHERE, usual - 2 * np.sqrt(usual * (1 - usual) / len(each.rows))):
            yield each


def _against_the_rest(points: Array, labels: Array, asked: list[Pattern]) -> Iterator[Pattern]:
    """The patterns of which trees that have seen none of their rows say that their label is another one."""
    with_any = np.zeros(len(labels), dtype=bool)
    for each in asked:
        with_any[each.rows] = True
    rest = ~with_any
    if rest.sum() < LEAST_ROWS or len(np.unique(labels[rest])) < 2:
        yield from asked
        return
    model = forest(TREES, points.shape[1])
    model.fit(points[rest], labels[rest])
    classes = model.classes_.tolist()
    said = model.predict_proba(points[with_any])
    place = np.cumsum(with_any) - 1
    for each in asked:
        known = each.label in classes
        probable = said[place[each.rows], classes.index(each.label)].mean() if known else 0.0
        if probable <= ELSEWHERE:
            yield each
