"""Arrow arrays (Parquet) to the elements of a tensor, by their types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from plimsoll.runtime.conversion.cells import (
    Numbers,
    WrongType,
    fit_integers,
    fit_numbers,
    missing_value,
    no_value,
)
from plimsoll.runtime.conversion.texts import Contents, whole_number

if TYPE_CHECKING:
    ArrowArray = Any  # Any: pyarrow has no types
    ArrowType = Any


def arrow_contents(kind: ArrowType) -> Contents:
    """What the values of an Arrow type are, as numbers."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return arrow_contents(kind.value_type)
    if types.is_null(kind):
        return Contents.BLANK
    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind)
    return Contents.NUMBERS if is_number else Contents.OTHER


def from_arrow(column: ArrowArray, datatype: str, dtype: np.dtype[np.generic]) -> Numbers:
    """Convert a column to the elements of a tensor. Raises BadCell; WrongType when no value of its type converts."""
    from pyarrow import types

    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    is_text = _is_text(kind)
    is_number = arrow_contents(kind) is Contents.NUMBERS
    if not types.is_null(kind) and not (is_text if dtype.kind == "O" else is_number):
        raise WrongType(f"has the type {kind}, the model expects {datatype}")
    if dtype.kind != "f" and column.null_count:
        raise missing_value(column.is_null().index(True).as_py(), datatype)
    if is_text:
        return _texts(column, datatype)
    if types.is_null(kind):
        return np.full(len(column), np.nan).astype(dtype)
    if types.is_decimal(kind):
        return _decimals(column.to_pylist(), datatype, dtype)
    return _numbers(column, datatype, dtype)


def _is_text(kind: ArrowType) -> bool:
    from pyarrow import types

    tests = ("is_string", "is_large_string", "is_string_view", "is_binary", "is_large_binary", "is_binary_view")
    # Views came to pyarrow after the oldest version that is supported.
    return types.is_fixed_size_binary(kind) or any(getattr(types, test)(kind) for test in tests if hasattr(types, test))


def _texts(column: ArrowArray, datatype: str) -> Numbers:
    import pyarrow

    # As bytes, because a file may say text of what is no UTF-8.
    values = column.cast(pyarrow.large_binary()).to_pylist()
    array = np.empty(len(values), dtype=np.object_)
    for index, value in enumerate(values):
        try:
            array[index] = value.decode()
        except UnicodeDecodeError:
            raise no_value(index, datatype) from None
    return array


def _decimals(values: Sequence[Any], datatype: str, dtype: np.dtype[np.generic]) -> Numbers:
    if dtype.kind == "f":
        floats = [np.nan if value is None else float(value) for value in values]
        return fit_numbers(np.array(floats, dtype=np.float64), datatype, dtype)
    integers = [whole_number(value, index, datatype) for index, value in enumerate(values)]
    if dtype.kind == "b":
        return fit_numbers(fit_integers(integers, datatype, np.dtype(np.int64)), datatype, dtype)
    return fit_integers(integers, datatype, dtype)


def _numbers(column: ArrowArray, datatype: str, dtype: np.dtype[np.generic]) -> Numbers:
    from pyarrow import types

    if not column.null_count or types.is_floating(column.type):
        return fit_numbers(column.to_numpy(zero_copy_only=False), datatype, dtype)
    # Filled first: of integers with nulls pyarrow makes doubles, and of booleans objects.
    filled = column.fill_null(False if types.is_boolean(column.type) else 0)
    fitted = fit_numbers(filled.to_numpy(zero_copy_only=False), datatype, dtype)
    fitted[column.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return fitted
