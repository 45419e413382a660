"""The size of an array that joblib writes into the middle of a pickle. Pure.

Source: joblib.numpy_pickle, NumpyArrayWrapper.write_array of joblib 1.x.
"""

from __future__ import annotations

import math
import re

_PLAIN = re.compile(r"[<>=|]?([biufcSUVmM?])(\d{1,6})")


class UnknownArray(Exception):
    """It cannot be told how many bytes the array has."""


def array_bytes(state: object) -> tuple[int, bool]:
    """The bytes of an array, and whether padding comes before it, by the state of its wrapper. Raises UnknownArray."""
    if not isinstance(state, dict):
        raise UnknownArray("it has an array of joblib whose description is not spelled out")
    shape = state.get("shape")
    if not isinstance(shape, tuple) or not all(isinstance(each, int) and each >= 0 for each in shape):
        raise UnknownArray("it has an array of joblib whose shape is not spelled out")
    return math.prod(shape) * _item_bytes(state.get("dtype")), state.get("numpy_array_alignment_bytes") is not None


def _item_bytes(dtype: object) -> int:
    arguments = getattr(dtype, "arguments", None)
    if getattr(dtype, "name", "") != "numpy.dtype" or not isinstance(arguments, tuple) or not arguments:
        raise UnknownArray("it has an array of joblib whose type is not spelled out")
    match = _PLAIN.fullmatch(arguments[0]) if isinstance(arguments[0], str) else None
    if match is None:
        raise UnknownArray("it has an array of joblib that holds objects, which are pickles themselves")
    kind, size = match[1], int(match[2])
    return size * 4 if kind == "U" else size
