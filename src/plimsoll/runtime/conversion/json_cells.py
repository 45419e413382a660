"""Cells of JSON records to the elements of a tensor: a string is no number, and a number is no string."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from plimsoll.runtime.conversion.cells import Numbers, fit_integers, fit_numbers, missing_value, no_value
from plimsoll.runtime.conversion.texts import Contents


class JsonCells(tuple[object, ...]):
    """A column of records: numbers, strings, booleans, None for null, and what else JSON has."""

    __slots__ = ()


def json_contents(cells: Sequence[object]) -> Contents:
    """What all cells of a column are, as numbers."""
    if all(cell is None for cell in cells):
        return Contents.BLANK
    return Contents.NUMBERS if all(cell is None or _is_number(cell) for cell in cells) else Contents.OTHER


def from_json_cells(cells: JsonCells, datatype: str, dtype: np.dtype[np.generic]) -> Numbers:
    """Convert cells to the elements of a tensor. Raises BadCell."""
    if dtype.kind == "O":
        _require(cells, datatype, lambda cell: isinstance(cell, str))
        array = np.empty(len(cells), dtype=np.object_)
        array[:] = list(cells)
        return array
    if dtype.kind == "b":
        _require(cells, datatype, lambda cell: isinstance(cell, bool))
        return np.array(cells, dtype=np.bool_)
    if dtype.kind == "f":
        numbers = [np.nan if cell is None else cell for cell in cells]
        _require(numbers, datatype, _is_number)
        try:
            return fit_numbers(np.array(numbers, dtype=np.float64), datatype, dtype)
        except OverflowError:
            raise no_value(next(n for n, cell in enumerate(numbers) if _is_huge(cell)), datatype) from None
    _require(cells, datatype, lambda cell: isinstance(cell, int) and not isinstance(cell, bool))
    return fit_integers([int(str(cell)) for cell in cells], datatype, dtype)


def _require(cells: Sequence[object], datatype: str, fits: Callable[[object], bool]) -> None:
    for index, cell in enumerate(cells):
        if not fits(cell):
            raise missing_value(index, datatype) if cell is None else no_value(index, datatype)


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _is_huge(cell: object) -> bool:
    return isinstance(cell, int) and abs(cell) > 10**308
