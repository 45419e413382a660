"""Bins for numbers, and figures of texts that can be binned. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from plimsoll.runtime.tensors import Array
from plimsoll.telemetry.drift.reference import Facet

QUANTILES = 100
"""Quantiles that become edges: KS from such counts is at most 1/100 below KS from the values."""

WORD = re.compile(r"\w+")


def bin_edges(ordered: Array) -> Array:
    """The edges of bins for values in ascending order, in the precision of the values.

    Edges are at quantiles, before the least and after the greatest value. A value on which two quantiles fall has an
    edge on both sides, so that it gets its own bin.
    """
    if not len(ordered):
        return ordered[:0]
    at = (np.arange(QUANTILES) * len(ordered)) // QUANTILES
    quantiles = ordered[at]
    frequent = quantiles[1:][quantiles[1:] == quantiles[:-1]]
    behind = _next_value(np.unique(np.append(frequent, ordered[-1])))
    return np.unique(np.concatenate([quantiles, behind]))


def count_numbers(values: Array, edges: Array) -> tuple[Array, int]:
    """Count the values in each bin, and the missing values (NaN)."""
    bins = len(edges) + 1
    if values.dtype != edges.dtype:
        values = values.astype(edges.dtype)
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=bins)
    # numpy sorts NaN after all numbers, into the last bin.
    missing = int(np.isnan(values).sum()) if values.dtype.kind == "f" and counts[-1] else 0
    counts[-1] -= missing
    return counts, missing


def column_texts(values: Array) -> list[str | None]:
    """The texts of a column; `None` for missing and empty ones."""
    listed = values.tolist()
    if set(map(type, listed)) == {str} and "" not in listed:
        return listed  # type: ignore[no-any-return]
    plain: list[str | None] = []
    for value in listed:
        word = value.decode(errors="replace") if isinstance(value, bytes) else value
        plain.append(str(word) if word is not None and word != "" else None)
    return plain


def split_words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return WORD.findall(text.lower())


def text_figures(rows: Iterable[str | None], facet: Facet, known: frozenset[str]) -> Array:
    """Compute one figure for each text; NaN for a missing text."""
    figures = [np.nan if row is None else _text_figure(row, facet, known) for row in rows]
    return np.array(figures, dtype=np.float32)


def _text_figure(text: str, facet: Facet, known: frozenset[str]) -> float:
    if facet is Facet.LENGTH:
        return len(text)
    if facet is Facet.SIGNS:
        return sum(not (sign.isalnum() or sign.isspace()) for sign in text) / len(text)
    words = split_words(text)
    if facet is Facet.WORD_COUNT:
        return len(words)
    return sum(word not in known for word in words) / len(words) if words else 0.0


def _next_value(values: Array) -> Array:
    after: Array = np.nextafter(values, np.inf, dtype=values.dtype) if values.dtype.kind == "f" else values + 1
    return after
