"""Counts of live rows in the bins of a reference. Windows of the same reference can be merged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np
from msgspec import Struct

from plimsoll.runtime.tensors import Array
from plimsoll.telemetry.drift.binning import column_texts, count_numbers, split_words, text_figures
from plimsoll.telemetry.drift.reference import (
    CategoricalFeature,
    Facet,
    Feature,
    NumericFeature,
    SideReference,
    WordsFeature,
)


class Window(Struct, frozen=True, kw_only=True):
    """The rows from `begin` to `end`, as counts. `counts` and `missing` have the order of the reference's features.

    `counts` is one array with the bins of all features, one feature after the other.
    """

    begin: datetime
    end: datetime
    rows: int
    counts: Array
    missing: Array


class WindowCounter:
    """Counts columns in the bins of a reference. Caches edges and tables, which are costly to build for each batch."""

    def __init__(self, reference: SideReference) -> None:
        self.reference = reference
        self.offsets = bin_offsets(reference)
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

    def zero_counts(self) -> tuple[Array, Array]:
        """Empty `counts` and `missing`."""
        return np.zeros(self.offsets[-1], dtype=np.int64), np.zeros(len(self.reference.features), dtype=np.int64)

    def add(self, columns: Mapping[str, Array], counts: Array, missing: Array) -> None:
        """Add rows to `counts` and `missing`. Features without their column do not change."""
        words: dict[str, list[str | None]] = {}
        for place, feature in enumerate(self.reference.features):
            column = columns.get(feature.column)
            if column is None:
                continue
            if isinstance(feature, NumericFeature) and feature.facet is Facet.VALUE:
                found, absent = count_numbers(column, self._edges[feature.name])
            else:
                if feature.column not in words:
                    words[feature.column] = column_texts(column)
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
                for word in set(split_words(row or "")):
                    if word in places:
                        found[places[word]] += times
            else:
                found[places.get(row or "", len(places))] += times
        return found, absent


def bin_offsets(reference: SideReference) -> Sequence[int]:
    """The first position of each feature's bins in a window's counts, and the total at the end."""
    found = [0]
    for feature in reference.features:
        found.append(found[-1] + len(feature.counts))
    return found


def window_of_table(reference: SideReference, columns: Mapping[str, Array], at: datetime) -> Window:
    """Count a whole table as one window."""
    counting = WindowCounter(reference)
    counts, missing = counting.zero_counts()
    counting.add(columns, counts, missing)
    rows = max((len(column) for column in columns.values()), default=0)
    return Window(begin=at, end=at, rows=rows, counts=counts, missing=missing)


def merge_windows(windows: Iterable[Window]) -> Window:
    """Merge consecutive windows into one. Raises ValueError without windows."""
    merged = list(windows)
    return Window(
        begin=merged[0].begin,
        end=merged[-1].end,
        rows=sum(window.rows for window in merged),
        counts=np.sum([window.counts for window in merged], axis=0),
        missing=np.sum([window.missing for window in merged], axis=0),
    )
