"""Rows as points: the columns of two tables in one scale, in which near rows are near.

A number is in units of its column's spread, cut where a few values are far out. A category is one axis for each value,
so that two different ones are a whole unit apart. Of texts, words are weighed by how rare they are, and brought to few
axes by a random projection with a fixed seed. What is missing is an axis of its own.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from plimsoll.runtime.tensors import Array
from plimsoll.telemetry.drift.binning import split_words

MOST_CATEGORIES = 60
FARTHEST = 6.0
"""Units of a spread beyond which a number counts as so far away."""
WORDS_AXES = 48
_BUCKETS = 1 << 14


def points(some: Mapping[str, Array], others: Mapping[str, Array]) -> tuple[Array, Array]:
    """Two sets of rows as float32 points [rows, axes]. Scales are those of `some`; columns of others are left out."""
    pairs = list(_axes(some, others))
    if not pairs:
        return np.zeros((_rows(some), 0), np.float32), np.zeros((_rows(others), 0), np.float32)
    return tuple(np.ascontiguousarray(np.concatenate(side, axis=1)) for side in zip(*pairs, strict=True))  # type: ignore[return-value]  # there are two


def _rows(columns: Mapping[str, Array]) -> int:
    return max((len(column) for column in columns.values()), default=0)


def _axes(some: Mapping[str, Array], others: Mapping[str, Array]) -> Iterator[tuple[Array, Array]]:
    for name, column in some.items():
        other = others.get(name, column[:0])
        if column.dtype.kind == "O" or other.dtype.kind == "O":
            yield from _of_texts(texts(column), texts(other))
        else:
            yield from _of_numbers(column, other)


def texts(column: Array) -> list[str | None]:
    """A column as texts, whatever it is."""
    if column.dtype.kind == "O":
        return [str(value).strip().casefold() if value is not None else None for value in column.tolist()]
    return [None if value != value else f"{value:.15g}" for value in column.tolist()]  # noqa: PLR0124 - NaN


def _of_numbers(column: Array, other: Array) -> Iterator[tuple[Array, Array]]:
    finite = column[np.isfinite(column)]
    if not len(finite):
        return
    low, middle, high = np.quantile(finite, (0.1, 0.5, 0.9))
    # Nine tenths of some columns are one value.
    spread = float(high - low) / 2.56 or float(np.std(finite))
    if not np.isfinite(spread) or spread <= 0:
        spread = 1.0

    def scaled(values: Array) -> Array:
        with np.errstate(invalid="ignore", over="ignore"):
            cut = np.clip((values - middle) / spread, -FARTHEST, FARTHEST)
        scale: Array = np.nan_to_num(cut, nan=0.0).astype(np.float32)[:, None]
        return scale

    yield scaled(column), scaled(other)
    if np.isnan(column).any() or np.isnan(other).any():
        yield np.isnan(column).astype(np.float32)[:, None], np.isnan(other).astype(np.float32)[:, None]


def _of_texts(column: Sequence[str | None], other: Sequence[str | None]) -> Iterator[tuple[Array, Array]]:
    counts = Counter(value for value in column if value is not None)
    if len(counts) <= MOST_CATEGORIES:
        place = {value: number for number, (value, _) in enumerate(counts.most_common())}
        yield _one_hot(column, place), _one_hot(other, place)
        return
    words = [sorted(set(split_words(value or ""))) for value in column]
    known = Counter(word for row in words for word in row)
    rarity = {word: float(np.log1p(len(column) / count)) for word, count in known.items()}
    signs = np.random.default_rng(0).standard_normal((_BUCKETS, WORDS_AXES)).astype(np.float32) / np.sqrt(WORDS_AXES)
    yield _projected(words, rarity, signs), _projected([split_words(value or "") for value in other], rarity, signs)


def _one_hot(values: Sequence[str | None], place: Mapping[str, int]) -> Array:
    found = np.zeros((len(values), len(place) + 1), dtype=np.float32)
    # Half of a square root of two on each axis: two values are one unit apart.
    found[np.arange(len(values)), [place.get(value or "", len(place)) for value in values]] = np.sqrt(0.5)
    return found


def _projected(rows: Sequence[Sequence[str]], rarity: Mapping[str, float], signs: Array) -> Array:
    """Each row's words as a vector of length 3: rows that share no word are about 4 units apart."""
    found = np.zeros((len(rows), signs.shape[1]), dtype=np.float32)
    unseen = max(rarity.values(), default=1.0)
    buckets: dict[str, int] = {}
    for number, row in enumerate(rows):
        if not row:
            continue
        unique = sorted(set(row))
        at = [buckets.setdefault(word, zlib.crc32(word.encode()) % _BUCKETS) for word in unique]
        weights = np.array([rarity.get(word, unseen) for word in unique], dtype=np.float32)
        found[number] = weights @ signs[at]
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    scaled: Array = np.divide(3 * found, lengths, out=np.zeros_like(found), where=lengths > 0)
    return scaled
