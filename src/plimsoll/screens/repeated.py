"""Rows that are there twice, and held-out rows that are learnt from: by all features, exactly and nearly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from plimsoll.runtime.tensors import Array
from plimsoll.screens.material import Material, are_near, nearest
from plimsoll.screens.outcomes import Measured, Outcome, Unmeasured, finding
from plimsoll.screens.space import texts


def repeated(material: Material) -> Iterator[Outcome]:
    """`duplicates` and `leaked`, over all rows that were read."""
    learnt, held = material.learnt, material.held_out
    if not material.features:
        for figure in ("duplicates", "leaked"):
            yield Unmeasured(figure, "no column is left to compare rows by")
        return
    if material.table.total > len(material.table):
        reason = f"of {material.table.total} rows {len(material.table)} were read: set `rows`"
        yield from (Unmeasured(figure, reason) for figure in ("duplicates", "leaked"))
        return
    keys, held_keys = _keys(material)
    _, first = np.unique(keys, return_index=True)
    again = np.ones(len(keys), dtype=bool)
    again[first] = False
    yield Measured("duplicates", float(again.mean()))
    if again.any():
        yield finding("duplicates", f"{again.sum()} rows have the features of an earlier row", learnt.numbers[again])
    if held is None:
        yield Unmeasured("leaked", "no rows are held out: name `test`, or a column `part` or `split`")
        return
    if material.order.held_out and held.total > len(held):
        yield Unmeasured("leaked", f"of {held.total} held-out rows {len(held)} were read: set `rows`")
        return
    leaked = np.isin(held_keys, keys)
    yield Measured("leaked", float(leaked.mean()))
    if leaked.any():
        what = f"{leaked.sum()} held-out rows have the features of one to learn from"
        yield finding("leaked", what, held.numbers[leaked])


def nearly(material: Material) -> Iterator[Outcome]:
    """`near_leaked`, among the rows that are compared."""
    held = material.held_out
    if held is None:
        yield Unmeasured("near_leaked", "no rows are held out: name `test`, or a column `part` or `split`")
        return
    those, of = material.points
    found = nearest(those, of)
    if not found.shape[1]:
        yield Unmeasured("near_leaked", "there is nothing to compare the held-out rows with")
        return
    near = are_near(of, those, found).any(axis=1)
    yield Measured("near_leaked", float(near.mean()))
    if near.any():
        what = f"{near.sum()} held-out rows are near duplicates of rows to learn from"
        yield finding("near_leaked", what, held.numbers[material.held_sample[near]])


def _keys(material: Material) -> tuple[Array, Array]:
    """A key for each row, equal for rows with equal features."""
    held: Mapping[str, Array] = material.held_out.columns if material.held_out is not None else {}
    some, others = [], []
    for name, column in material.features.items():
        other = held.get(name, column[:0])
        if column.dtype.kind == "O" or other.dtype.kind == "O":
            place: dict[str | None, float] = {None: -1.0}
            some.append(_numbered(texts(column), place))
            others.append(_numbered(texts(other), place))
        else:
            # NaN is not NaN, and minus zero is zero.
            some.append(np.nan_to_num(column, nan=1.2345e300) + 0.0)
            others.append(np.nan_to_num(other, nan=1.2345e300) + 0.0)
    count = len(material.held_out) if material.held_out is not None else 0
    return _bytes(some, len(material.learnt)), _bytes([each for each in others if len(each) == count], count)


def _numbered(values: list[str | None], place: dict[str | None, float]) -> Array:
    return np.array([place.setdefault(value, float(len(place))) for value in values], dtype=np.float64)


def _bytes(columns: list[Array], rows: int) -> Array:
    if not columns or not rows:
        return np.zeros(0, dtype="V8")
    matrix = np.ascontiguousarray(np.stack(columns, axis=1))
    return matrix.view(np.dtype((np.void, matrix.dtype.itemsize * matrix.shape[1]))).reshape(rows)
