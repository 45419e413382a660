"""Cells of text (CSV) to the elements of a tensor.

Whole columns are converted at once where every cell is plain. Otherwise each cell is read alone, by the same rules,
which also finds the first cell without a conversion.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import TypeVar

import numpy as np

from plimsoll.runtime.conversion.cells import (
    BadCell,
    Numbers,
    fit_integers,
    fit_numbers,
    missing_value,
    no_value,
    out_of_range,
)

MISSING = frozenset({"", "NA", "N/A", "<NA>", "NaN", "nan", "NAN", "NULL", "Null", "null", "None"})
"""What pandas, R, Spark and databases write into a column of numbers for a missing value."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MARKS_OF_FLOATS = b"0123456789+-.eE \t"
_MARKS_OF_INTEGERS = b"0123456789+- \t"
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "1": True} | dict.fromkeys(
    ("false", "False", "FALSE", "0"), False
)
_ABSENT: frozenset[str | None] = MISSING | {None}
_MOST_DIGITS = 40
"""Digits before the point beyond which a number is outside the range of all integer types."""

T = TypeVar("T")
Cells = Sequence[str | None]
"""`None` is a missing cell; a CSV file has none, because its empty cells are empty texts."""


class Contents(Enum):
    """What the cells of a column are."""

    BLANK = "all missing"
    NUMBERS = "numbers, some may be missing"
    OTHER = "other"


def contents(cells: Cells) -> Contents:
    """What all cells of a column are, as numbers."""
    try:
        numbers = _floats(cells, "FP64")
    except BadCell:
        return Contents.OTHER
    return Contents.BLANK if np.isnan(numbers).all() else Contents.NUMBERS


def from_texts(cells: Cells, datatype: str, dtype: np.dtype[np.generic]) -> Numbers:
    """Convert cells to the elements of a tensor. Raises BadCell."""
    if dtype.kind == "O":
        return _texts(cells, datatype)
    if dtype.kind == "f":
        return fit_numbers(_floats(cells, datatype), datatype, dtype)
    if dtype.kind == "b":
        found = [_BOOLEANS.get(cell or "") for cell in cells]
        plain = found if None not in found else _each(cells, datatype, _boolean)
        return np.array(plain, dtype=np.bool_)
    return fit_integers(_integers(cells, datatype), datatype, dtype)


def _texts(cells: Cells, datatype: str) -> Numbers:
    if None in cells:
        raise missing_value(cells.index(None), datatype)
    array = np.empty(len(cells), dtype=np.object_)
    array[:] = cells
    return array


def _floats(cells: Cells, datatype: str) -> Numbers:
    """The nearest doubles; NaN for missing cells, infinity for numbers beyond all doubles."""
    try:
        return _plain_floats(cells)
    except (TypeError, ValueError):
        pass
    present = [cell not in _ABSENT for cell in cells]
    numbers = np.full(len(cells), np.nan)
    try:
        numbers[present] = _plain_floats([cell for cell in cells if cell not in _ABSENT])
    except ValueError:
        return np.array(_each(cells, datatype, _float), dtype=np.float64)
    return numbers


def _plain_floats(cells: Cells) -> Numbers:
    """Numbers of digits and signs, of which Python has no reading of its own. Raises TypeError or ValueError."""
    _require_marks(cells, _MARKS_OF_FLOATS)
    return np.array(cells, dtype=np.float64)


def _integers(cells: Cells, datatype: str) -> list[int]:
    try:
        _require_marks(cells, _MARKS_OF_INTEGERS)
        return list(map(int, cells))  # type: ignore[arg-type]  # there was no None
    except (TypeError, ValueError):
        return _each(cells, datatype, _integer)


def _require_marks(cells: Cells, marks: bytes) -> None:
    """Raise ValueError for a cell with other characters, TypeError for `None`.

    Bytes are deleted because that is ten times as fast as to look at each character.
    """
    if "".join(cells).encode().translate(None, marks):  # type: ignore[arg-type]  # TypeError is the answer to None
        raise ValueError


def _each(cells: Cells, datatype: str, read: Callable[[str, int, str], T]) -> list[T]:
    return [read("" if cell is None else cell.strip(" \t"), index, datatype) for index, cell in enumerate(cells)]


def _float(cell: str, index: int, datatype: str) -> float:
    if cell in MISSING:
        return math.nan
    if _NUMBER.fullmatch(cell) is None:
        raise no_value(index, datatype)
    return float(cell)


def _integer(cell: str, index: int, datatype: str) -> int:
    if cell in MISSING:
        raise missing_value(index, datatype)
    if _NUMBER.fullmatch(cell) is None:
        raise no_value(index, datatype)
    return whole_number(_decimal(cell, index, datatype), index, datatype)


def _boolean(cell: str, index: int, datatype: str) -> bool:
    if cell in _BOOLEANS:
        return _BOOLEANS[cell]
    if cell in MISSING:
        raise missing_value(index, datatype)
    number = _decimal(cell, index, datatype) if _NUMBER.fullmatch(cell) else None
    if number not in (0, 1):
        raise no_value(index, datatype)
    return number == 1


def _decimal(cell: str, index: int, datatype: str) -> Decimal:
    """Raises BadCell for a number whose exponent has more digits than a decimal's may have."""
    try:
        return Decimal(cell)
    except InvalidOperation:
        raise out_of_range(index, datatype) from None


def whole_number(value: Decimal, index: int, datatype: str) -> int:
    """The integer that a decimal number equals. Raises BadCell."""
    if value.is_zero():
        return 0
    # Looked at before anything is computed: 1e999999999 has as many digits as an integer.
    if value.adjusted() > _MOST_DIGITS:
        raise out_of_range(index, datatype)
    if value.adjusted() < 0 or value != value.to_integral_value():
        raise no_value(index, datatype)
    return int(value)
