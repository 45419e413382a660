"""Numbers to the numbers of a tensor type, and the reason when a value has none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]  # Any: of the type that a model takes
"""An array of numbers or text."""


class BadCell(ValueError):
    """A value has no conversion. `index` is its place in the column, from 0; `problem` ends a sentence about it."""

    def __init__(self, index: int, problem: str) -> None:
        super().__init__(problem)
        self.index = index
        self.problem = problem


class WrongType(ValueError):
    """No value of a column has a conversion. The message ends a sentence about the column."""


def no_value(index: int, datatype: str) -> BadCell:
    """The reason for a value of another kind."""
    return BadCell(index, f"the model expects {datatype}")


def missing_value(index: int, datatype: str) -> BadCell:
    """The reason for a missing value."""
    return BadCell(index, f"the model expects {datatype}, which cannot be missing")


def out_of_range(index: int, datatype: str) -> BadCell:
    """The reason for a number that the tensor type does not have."""
    return BadCell(index, f"outside the range of {datatype}")


def fit_numbers(values: Numbers, datatype: str, dtype: np.dtype[np.generic]) -> Numbers:
    """Convert booleans, integers or floats to a numeric tensor type. NaN is a missing value. Raises BadCell."""
    if dtype.kind == "f":
        return _fit_floats(values, datatype, dtype)
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise missing_value(int(np.argmax(np.isnan(values))), datatype)
    if dtype.kind == "b":
        _require((values == 0) | (values == 1), no_value, datatype)
    elif values.dtype.kind == "f":
        values = values.astype(np.float64)
        _require(_inside(values, dtype), out_of_range, datatype)
        _require(values == np.floor(values), no_value, datatype)
    else:
        # The same bits and the same sign are the same integer, in any pair of sizes.
        fitted = values.astype(dtype)
        same = (fitted.astype(values.dtype) == values) & ((fitted < 0) == (values < 0))
        _require(same, out_of_range, datatype)
    return values.astype(dtype)


def fit_integers(values: Sequence[int], datatype: str, dtype: np.dtype[np.generic]) -> Numbers:
    """Convert integers of any size to an integer tensor type. Raises BadCell."""
    limits = np.iinfo(dtype)  # type: ignore[type-var]  # the caller has an integer type
    if values and (min(values) < limits.min or max(values) > limits.max):
        raise out_of_range(next(n for n, value in enumerate(values) if not limits.min <= value <= limits.max), datatype)
    return np.array(values, dtype=dtype)


def _require(good: Numbers, reason: Callable[[int, str], BadCell], datatype: str) -> None:
    if not good.all():
        raise reason(int(np.argmin(good)), datatype)


def _fit_floats(values: Numbers, datatype: str, dtype: np.dtype[np.generic]) -> Numbers:
    with np.errstate(over="ignore"):
        fitted = values.astype(dtype)
    infinite = np.isinf(fitted)
    if infinite.any():
        raise out_of_range(int(np.argmax(infinite)), datatype)
    return fitted


def _inside(values: Numbers, dtype: np.dtype[np.generic]) -> Numbers:
    """Which floats are inside the range of an integer type. The bounds are powers of two, so they are exact."""
    limits = np.iinfo(dtype)  # type: ignore[type-var]  # the caller has an integer type
    inside: Numbers = (values >= float(limits.min)) & (values < 2.0 ** int(limits.max).bit_length())
    return inside
