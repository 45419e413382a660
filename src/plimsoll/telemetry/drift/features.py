"""Compute the features of a reference from rows of training, once for a model and its data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from plimsoll.runtime.tensors import Array
from plimsoll.telemetry.drift.binning import bin_edges, column_texts, split_words, text_figures
from plimsoll.telemetry.drift.reference import (
    CategoricalFeature,
    Facet,
    Feature,
    NumericFeature,
    Side,
    SideReference,
    WordsFeature,
)

MAX_CATEGORIES = 200
"""Most values of a category with their own bins. Rarer values share one bin."""
MAX_WATCHED_WORDS = 300
"""Most words of a text column whose frequency is watched."""
MAX_VOCABULARY = 20_000
"""Most words in the vocabulary of a text column."""
CATEGORY_SHARE = 0.1
"""A column of strings with fewer distinct values than this share of its rows is a category, else text."""


def build_side(columns: Mapping[str, Array], side: Side) -> SideReference:
    """Compute the reference of one side from columns of equal length. Skips columns without numbers or strings."""
    rows = max((len(column) for column in columns.values()), default=0)
    features: list[Feature] = []
    for name, column in columns.items():
        if column.dtype.kind in "fiub":
            features.append(numeric_feature(name, column))
        elif column.dtype.kind in "OUS":
            features += _features_of_strings(name, column_texts(column))
    return SideReference(side=side, rows=rows, features=tuple(features))


def numeric_feature(name: str, column: Array, facet: Facet = Facet.VALUE) -> NumericFeature:
    """Compute the feature of a column of numbers."""
    values = column.astype(_bin_dtype(column.dtype), copy=False)
    missing = np.isnan(values) if values.dtype.kind == "f" else None
    present = values if missing is None or not missing.any() else values[~missing]
    ordered = np.sort(present)
    edges = bin_edges(_finite(ordered))
    # The values are sorted, so one search for each edge replaces one search for each value (`count_numbers`).
    counts = np.diff(np.searchsorted(ordered, edges), prepend=0, append=len(ordered))
    return NumericFeature(
        name=name if facet is Facet.VALUE else f"{name} ({facet})",
        column=name,
        dtype=str(edges.dtype),
        edges=tuple(edges.tolist()),
        counts=tuple(counts.tolist()),
        centres=_bin_means(ordered, counts, edges),
        spread=float(np.std(_finite(present), dtype=np.float64)) if len(edges) else 0.0,
        missing=len(values) - len(present),
        facet=facet,
    )


def _bin_dtype(dtype: np.dtype[np.generic]) -> type[np.generic]:
    """The type of the edges. Integers use 64 bits, so that an edge fits after the greatest value."""
    if dtype.kind == "f":
        return np.float64 if dtype.itemsize > 4 else np.float32
    return np.float64 if dtype == np.uint64 else np.int64


def _finite(values: Array) -> Array:
    if values.dtype.kind != "f":
        return values
    finite = np.isfinite(values)
    return values if finite.all() else values[finite]


def _bin_means(ordered: Array, counts: Array, edges: Array) -> tuple[float, ...]:
    """The mean of the values in each bin; for an empty bin its edge."""
    if not len(edges):
        return (0.0,)
    ends = np.cumsum(counts)
    with np.errstate(invalid="ignore", divide="ignore"):
        sums = np.concatenate([[0.0], np.cumsum(ordered, dtype=np.float64)])
        means = (sums[ends] - sums[ends - counts]) / counts
    at_edge = np.concatenate([edges[:1], edges]).astype(np.float64)
    return tuple(np.where((counts > 0) & np.isfinite(means), means, at_edge).tolist())


def _features_of_strings(name: str, rows: list[str | None]) -> list[Feature]:
    present = [row for row in rows if row is not None]
    distinct = Counter(present)
    if len(distinct) <= max(2, CATEGORY_SHARE * len(present)) and len(distinct) <= len(present) / 2:
        kept = [value for value, _ in distinct.most_common(MAX_CATEGORIES)]
        counts = [distinct[value] for value in kept]
        return [
            CategoricalFeature(
                name=name,
                column=name,
                values=tuple(kept),
                counts=(*counts, len(present) - sum(counts)),
                missing=len(rows) - len(present),
            )
        ]
    return _features_of_text(name, rows)


def _features_of_text(name: str, rows: list[str | None]) -> list[Feature]:
    # One half of the rows gives the vocabulary, and the other half the share of unknown words. Rows that gave the
    # vocabulary have no unknown words, so every live window would look changed.
    vocabulary: Counter[str] = Counter()
    for row in rows[::2]:
        vocabulary.update(set(split_words(row or "")))
    known = frozenset(word for word, _ in vocabulary.most_common(MAX_VOCABULARY))
    frequency: Counter[str] = Counter()
    for row in rows:
        frequency.update(set(split_words(row or "")))
    watched = [word for word, _ in frequency.most_common(MAX_WATCHED_WORDS)]
    facets = [
        numeric_feature(name, text_figures(rows[1::2] if facet is Facet.UNKNOWN_WORDS else rows, facet, known), facet)
        for facet in (Facet.LENGTH, Facet.WORD_COUNT, Facet.UNKNOWN_WORDS, Facet.SIGNS)
    ]
    words = WordsFeature(
        name=f"{name} (words)",
        column=name,
        words=tuple(watched),
        counts=(*(frequency[word] for word in watched), sum(row is not None for row in rows)),
        known=tuple(sorted(known)),
        missing=sum(row is None for row in rows),
    )
    return [*facets, words]
