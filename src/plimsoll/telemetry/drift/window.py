"""Counts of live rows in the places of a reference. Windows of one reference add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np
from msgspec import Struct

from plimsoll.runtime.tensors import Array
from plimsoll.telemetry.drift.binning import count_numbers, text_figures, texts, words_of
from plimsoll.telemetry.drift.reference import (
    CategoricalFeature,
    Facet,
    Feature,
    NumericFeature,
    Reference,
    WordsFeature,
)


class Window(Struct, frozen=True, kw_only=True):
    """What was seen from `begin` to `end`: `counts` and `missing` follow the reference's features.

    `counts` is one array for all features, each with the places of its own counts in the reference.
    """

    begin: datetime
    end: datetime
    rows: int
    counts: Array
    missing: Array


class Counting:
    """Counts columns against one reference. Holds edges and tables that are dear to make for each batch."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.offsets = offsets(reference)
        self._edges: dict[str, Array] = {}
        self._places: dict[str, Mapping[str, int]] = {}
        self._known: dict[str, frozenset[str]] = {}
        for feature in reference.features:
            if isinstance(feature, NumericFeature):
                self._edges[feature.name] = np.array(feature.edges, dtype=feature.dtype)
                if feature.facet is not Facet.VALUE:
                    self._known[feature.column] = reference.known_words(feature.column)
            else:
                words = feature.values if isinstance(feature, CategoricalFeature) else feature.words
                self._places[feature.name] = {word: place for place, word in enumerate(words)}

    def nothing(self) -> tuple[Array, Array]:
        """Counts and missing of no rows."""
        return np.zeros(self.offsets[-1], dtype=np.int64), np.zeros(len(self.reference.features), dtype=np.int64)

    def add(self, columns: Mapping[str, Array], counts: Array, missing: Array) -> None:
        """Add rows to `counts` and `missing`. A column that is not given adds nothing to its features."""
        words: dict[str, list[str | None]] = {}
        for place, feature in enumerate(self.reference.features):
            column = columns.get(feature.column)
            if column is None:
                continue
            if isinstance(feature, NumericFeature) and feature.facet is Facet.VALUE:
                found, absent = count_numbers(column, self._edges[feature.name])
            else:
                if feature.column not in words:
                    words[feature.column] = texts(column)
                found, absent = self._count_words(feature, words[feature.column])
            counts[self.offsets[place] : self.offsets[place + 1]] += found
            missing[place] += absent

    def _count_words(self, feature: Feature, rows: list[str | None]) -> tuple[Array, int]:
        if isinstance(feature, NumericFeature):
            figures = text_figures(rows, feature.facet, self._known[feature.column])
            return count_numbers(figures, self._edges[feature.name])
        seen: Counter[str | None] = Counter(rows)
        absent = seen.pop(None, 0)
        places = self._places[feature.name]
        found = np.zeros(len(feature.counts), dtype=np.int64)
        if isinstance(feature, WordsFeature):
            found[-1] = len(rows) - absent
        for row, times in seen.items():
            if isinstance(feature, WordsFeature):
                for word in set(words_of(row or "")):
                    if word in places:
                        found[places[word]] += times
            else:
                found[places.get(row or "", len(places))] += times
        return found, absent


def offsets(reference: Reference) -> Sequence[int]:
    """Where each feature's places begin in a window's counts; one more at the end."""
    found = [0]
    for feature in reference.features:
        found.append(found[-1] + len(feature.counts))
    return found


def whole(reference: Reference, columns: Mapping[str, Array], at: datetime) -> Window:
    """One window of a whole table."""
    counting = Counting(reference)
    counts, missing = counting.nothing()
    counting.add(columns, counts, missing)
    rows = max((len(column) for column in columns.values()), default=0)
    return Window(begin=at, end=at, rows=rows, counts=counts, missing=missing)


def merged(windows: Iterable[Window]) -> Window:
    """One window of several that follow each other. Raises ValueError when there is none."""
    all_of = list(windows)
    return Window(
        begin=all_of[0].begin,
        end=all_of[-1].end,
        rows=sum(window.rows for window in all_of),
        counts=np.sum([window.counts for window in all_of], axis=0),
        missing=np.sum([window.missing for window in all_of], axis=0),
    )
