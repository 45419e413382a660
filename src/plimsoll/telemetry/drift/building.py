"""From rows of training to a reference. Done once for a model and its data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from plimsoll.runtime.tensors import Array
from plimsoll.telemetry.drift.binning import edges_of, text_figures, texts, words_of
from plimsoll.telemetry.drift.reference import (
    CategoricalFeature,
    Facet,
    Feature,
    NumericFeature,
    Reference,
    Side,
    WordsFeature,
)

MOST_VALUES = 200
"""Values of a category that are counted one by one; what is rarer is counted together."""
MOST_WORDS = 300
"""Words of a text column whose frequency is watched one by one."""
MOST_KNOWN = 20_000
"""Words that a text column may know."""
CATEGORY = 0.1
"""A column of words is a category when it has fewer different values than this share of its rows; else it is text."""


def build_reference(columns: Mapping[str, Array], side: Side) -> Reference:
    """The reference of columns of equal length. Columns that can hold no number and no word are left out."""
    rows = max((len(column) for column in columns.values()), default=0)
    features: list[Feature] = []
    for name, column in columns.items():
        if column.dtype.kind in "fiub":
            features.append(numeric(name, column))
        elif column.dtype.kind in "OUS":
            features += _of_words(name, texts(column))
    return Reference(side=side, rows=rows, features=tuple(features))


def numeric(name: str, column: Array, facet: Facet = Facet.VALUE) -> NumericFeature:
    """One column of numbers."""
    values = column.astype(_precision(column.dtype), copy=False)
    missing = np.isnan(values) if values.dtype.kind == "f" else None
    present = values if missing is None or not missing.any() else values[~missing]
    ordered = np.sort(present)
    edges = edges_of(_finite(ordered))
    # In order as they are, a look for each edge does what `count_numbers` does with one for each value.
    counts = np.diff(np.searchsorted(ordered, edges), prepend=0, append=len(ordered))
    return NumericFeature(
        name=name if facet is Facet.VALUE else f"{name} ({facet})",
        column=name,
        dtype=str(edges.dtype),
        edges=tuple(edges.tolist()),
        counts=tuple(counts.tolist()),
        centres=_centres(ordered, counts, edges),
        spread=float(np.std(_finite(present), dtype=np.float64)) if len(edges) else 0.0,
        missing=len(values) - len(present),
        facet=facet,
    )


def _precision(dtype: np.dtype[Any]) -> type[np.generic]:
    """Whole numbers in 64 bits, so that there is room for an edge behind the greatest."""
    if dtype.kind == "f":
        return np.float64 if dtype.itemsize > 4 else np.float32
    return np.float64 if dtype == np.uint64 else np.int64


def _finite(values: Array) -> Array:
    if values.dtype.kind != "f":
        return values
    finite = np.isfinite(values)
    return values if finite.all() else values[finite]


def _centres(ordered: Array, counts: Array, edges: Array) -> tuple[float, ...]:
    """The mean of what is in each place; an empty place takes its edge."""
    if not len(edges):
        return (0.0,)
    ends = np.cumsum(counts)
    with np.errstate(invalid="ignore", divide="ignore"):
        sums = np.concatenate([[0.0], np.cumsum(ordered, dtype=np.float64)])
        means = (sums[ends] - sums[ends - counts]) / counts
    at_edge = np.concatenate([edges[:1], edges]).astype(np.float64)
    return tuple(np.where((counts > 0) & np.isfinite(means), means, at_edge).tolist())


def _of_words(name: str, rows: list[str | None]) -> list[Feature]:
    present = [row for row in rows if row is not None]
    different = Counter(present)
    if len(different) <= max(2, CATEGORY * len(present)) and len(different) <= len(present) / 2:
        kept = [value for value, _ in different.most_common(MOST_VALUES)]
        counts = [different[value] for value in kept]
        return [
            CategoricalFeature(
                name=name,
                column=name,
                values=tuple(kept),
                counts=(*counts, len(present) - sum(counts)),
                missing=len(rows) - len(present),
            )
        ]
    return _of_text(name, rows)


def _of_text(name: str, rows: list[str | None]) -> list[Feature]:
    # Words are known from every other row, and their unknown share measured on the rest: rows that a vocabulary was
    # made from have no unknown words, and every live window would look changed.
    vocabulary: Counter[str] = Counter()
    for row in rows[::2]:
        vocabulary.update(set(words_of(row or "")))
    known = frozenset(word for word, _ in vocabulary.most_common(MOST_KNOWN))
    stands_in: Counter[str] = Counter()
    for row in rows:
        stands_in.update(set(words_of(row or "")))
    watched = [word for word, _ in stands_in.most_common(MOST_WORDS)]
    facets = [
        numeric(name, text_figures(rows[1::2] if facet is Facet.UNKNOWN_WORDS else rows, facet, known), facet)
        for facet in (Facet.LENGTH, Facet.WORD_COUNT, Facet.UNKNOWN_WORDS, Facet.SIGNS)
    ]
    words = WordsFeature(
        name=f"{name} (words)",
        column=name,
        words=tuple(watched),
        counts=(*(stands_in[word] for word in watched), sum(row is not None for row in rows)),
        known=tuple(sorted(known)),
        missing=sum(row is None for row in rows),
    )
    return [*facets, words]
