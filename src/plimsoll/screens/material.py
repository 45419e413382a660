"""The rows of one screen, and what several checks need of them: points, neighbours, the labels as numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from plimsoll.errors import PlimsollError
from plimsoll.screens.forests import Unseen, unseen
from plimsoll.screens.order import ScreenOrder
from plimsoll.screens.personal import Kind, personal_in
from plimsoll.screens.rows import Rows, held_out_in, without
from plimsoll.screens.space import points, texts
from plimsoll.telemetry.drift.reference import SideReference

if TYPE_CHECKING:
    from plimsoll.runtime.tensors import Array

MOST_COMPARED = 20_000
"""Rows that are held against each other, evenly spread over those that were read."""
MOST_HELD_OUT = 10_000
NEIGHBOURS = 10
MOST_CLASSES = 200
MOST_WHOLE_CLASSES = 30
"""Different whole numbers up to which they are classes and not measurements."""
NEAR = 0.02
"""Units of its scale by which no axis of a near duplicate differs more."""


class Material:
    """Rows to learn from and rows held out. `labels` has the number of each row's class, -1 for a missing label."""

    def __init__(self, order: ScreenOrder, table: Rows, held_out: Rows | None, earlier: SideReference | None) -> None:
        self.order = order
        self.table = table
        self.earlier = earlier
        self.learnt: Rows = table
        self.held_out = held_out
        left_out = {*order.ignore}
        split = held_out_in(table)
        if split is not None:
            name, mask = split
            left_out.add(name)
            self.learnt = table.take(~mask)
            self.held_out = held_out if held_out is not None else table.take(mask)
        for name in (*order.ignore, *order.allowed, *([order.label] if order.label else [])):
            if name not in table.columns:
                raise PlimsollError(
                    f"the table has no column '{name}'", hint=f"it has {', '.join([*table.columns][:20])}"
                )
        self._left_out = left_out | ({order.label} if order.label else set())

    @property
    def features(self) -> Mapping[str, Array]:
        """The columns that say something of a row to learn from."""
        return without(self.learnt, self._left_out).columns

    @cached_property
    def personal(self) -> Mapping[str, tuple[Kind, ...]]:
        """The columns with personal data."""
        return personal_in(self.table)

    @property
    def told(self) -> frozenset[str]:
        """The columns of which values may be kept in the profile of a version: none with personal data."""
        private = {*self.personal, *self.order.allowed, *self.order.ignore}
        return frozenset(name for name in self.learnt.columns if name not in private)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The labels, the most frequent first; none without a label, or where it is a measurement."""
        if not self.order.label:
            return ()
        column = self.learnt.columns[self.order.label]
        counts = Counter(value for value in texts(column) if value is not None)
        if column.dtype.kind == "f":
            finite = column[np.isfinite(column)]
            if len(counts) > MOST_WHOLE_CLASSES or not (finite == np.floor(finite)).all():
                return ()
        return tuple(value for value, _ in counts.most_common()) if len(counts) <= MOST_CLASSES else ()

    @cached_property
    def labels(self) -> Array:
        """The number of the class of each row to learn from."""
        place = {value: number for number, value in enumerate(self.classes)}
        return np.array([place.get(each or "", -1) for each in texts(self.learnt.columns[self.order.label])])

    @property
    def had_before(self) -> bool:
        """Whether a version before went through this screen."""
        return self.earlier is not None

    @property
    def before(self) -> Mapping[str, float]:
        """The figures of the version before."""
        return self.order.before

    @cached_property
    def unseen(self) -> Unseen:
        """What trees say of the compared rows that they have not seen."""
        return unseen(self.points[0], self.labels[self.sample])

    def no_classes(self) -> str:
        """Why labels cannot be held against each other; empty when they can."""
        if not self.order.label:
            return "the file names no `label`"
        if not self.classes:
            return f"column {self.order.label} has measurements, or more than {MOST_CLASSES} values, and no classes"
        return "" if len(self.classes) > 1 else f"column {self.order.label} has one value alone"

    @cached_property
    def sample(self) -> Array:
        """The positions of the rows that are compared with each other: those with a label, where there is one."""
        some = np.flatnonzero(self.labels >= 0) if self.classes else np.arange(len(self.learnt))
        return some[:: max(1, -(-len(some) // MOST_COMPARED))]

    @cached_property
    def held_sample(self) -> Array:
        """The positions of the held-out rows that are compared."""
        count = len(self.held_out) if self.held_out is not None else 0
        return np.arange(count)[:: max(1, -(-count // MOST_HELD_OUT))]

    @cached_property
    def points(self) -> tuple[Array, Array]:
        """The compared rows, and the held-out ones, as points in one space."""
        some = {name: column[self.sample] for name, column in self.features.items()}
        held = {} if self.held_out is None else self.held_out.take(self.held_sample).columns
        others = {name: held.get(name, column[:0]) for name, column in some.items()}
        if self.held_out is not None and (lacking := [name for name in some if name not in held]):
            raise PlimsollError(f"the rows that are held out have no column '{lacking[0]}'", hint="name it in `ignore`")
        return points(some, others)

    @cached_property
    def neighbours(self) -> Array:
        """The nearest other compared rows of each, the nearest first, as positions in the sample."""
        return nearest(self.points[0], self.points[0], itself=True)

    @cached_property
    def near_duplicates(self) -> Array:
        """Which of `neighbours` are near duplicates."""
        return are_near(self.points[0], self.points[0], self.neighbours)


def nearest(those: Array, of: Array, *, itself: bool = False) -> Array:
    """The nearest of `those` to each row of `of`, as positions; `itself` leaves a row's own position out."""
    from sklearn.neighbors import NearestNeighbors

    count = min(NEIGHBOURS + itself, len(those))
    if not count or not those.shape[1] or not len(of):
        return np.zeros((len(of), 0), dtype=np.int64)
    found = NearestNeighbors(n_neighbors=count).fit(those).kneighbors(of, return_distance=False)
    if not itself:
        return found  # type: ignore[no-any-return]
    # Of rows that are the same, another may come first: then the last one goes.
    own = found == np.arange(len(of))[:, None]
    own[~own.any(axis=1), -1] = True
    return found[~own].reshape(len(of), count - 1)  # type: ignore[no-any-return]


def are_near(of: Array, those: Array, found: Array) -> Array:
    """Which of the found neighbours are near duplicates: no axis differs."""
    near = np.zeros(found.shape, dtype=bool)
    for place in range(found.shape[1]):
        near[:, place] = np.abs(of - those[found[:, place]]).max(axis=1, initial=0.0) <= NEAR
    return near
