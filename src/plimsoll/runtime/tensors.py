"""Convert between the protocol's data, in JSON or binary, and numpy arrays. Pure.

Source: Open Inference Protocol v2, "Tensor Data" and the binary tensor data extension.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]
else:
    # Only checkers need the type of the elements, and numpy.typing would be loaded at each start of a server.
    Array = np.ndarray

DTYPES: dict[str, type[np.generic]] = {
    "BOOL": np.bool_,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BYTES": np.object_,
}
"""Maps each protocol datatype to numpy's type. BF16 is missing: numpy has no such type."""

LARGEST_SHAPE = 1 << 40
"""Elements of a shape, dimensions of 0 left out: numpy and models multiply the others all the same."""
LARGEST_EMPTY = 1 << 20
"""The same for a shape without elements: a few bytes of request must not become a model's large result."""

_DATATYPES = {(np.dtype(kind).kind, np.dtype(kind).itemsize): name for name, kind in DTYPES.items()}

_TYPES: dict[str, set[type]] = {
    "b": {bool},
    "i": {int},
    "u": {int},
    "f": {int, float, type(None)},
    "O": {str},
}
"""The types of JSON's values that each kind of tensor accepts."""
_NAMES: dict[type, str] = {str: "text", bool: "true or false", type(None): "null", int: "a number", float: "a fraction"}


class BadTensor(ValueError):
    """A tensor of a request is invalid. The message is for the client."""


def dtype_of(datatype: str) -> type[np.generic]:
    """The numpy type of a datatype. Raises BadTensor for an unsupported datatype."""
    try:
        return DTYPES[datatype]
    except KeyError:
        raise BadTensor(f"datatype '{datatype[:20]}' is not supported; use one of {', '.join(DTYPES)}") from None


def datatype_of(array: Array) -> str:
    """The protocol's datatype of an array. Raises KeyError for a type without one."""
    # Look up by kind and size: numpy has two types of eight-byte integers, and ONNX Runtime returns the other one.
    return _DATATYPES[array.dtype.kind, array.dtype.itemsize]


def from_json(data: object, datatype: str, shape: Sequence[int]) -> Array:
    """Convert a flat or nested list to an array of `shape`. Raises BadTensor."""
    count = count_of(shape)
    if not isinstance(data, list):
        raise BadTensor("data must be a list")
    values = _flat(data)
    if len(values) != count:
        raise BadTensor(f"data has {len(values)} elements, shape {list(shape)} needs {count}")
    return from_values(values, datatype).reshape(shape)


def from_values(values: list[Any], datatype: str, first: int = 0) -> Array:
    """Convert a flat list of JSON's values, in which `None` is a missing number. Raises BadTensor.

    The types are looked at before numpy sees them: it would widen every value to the longest text among them. `first`
    is the number of the first value, for the message.
    """
    dtype = np.dtype(dtype_of(datatype))
    allowed = _TYPES[dtype.kind]
    if not allowed.issuperset(map(type, values)):
        place = next(place for place, value in enumerate(values) if type(value) not in allowed)
        found = _NAMES.get(type(values[place]), "an object")
        raise BadTensor(f"data has values that are not of the datatype {datatype}: element {first + place} is {found}")
    if dtype.kind == "O":
        texts = np.empty(len(values), dtype=np.object_)
        texts[:] = values
        return texts
    if dtype.kind == "f":
        return _floats(values, datatype, first)
    if dtype.kind in "iu" and values:
        limits = np.iinfo(dtype)
        if min(values) < limits.min or max(values) > limits.max:
            place = next(place for place, value in enumerate(values) if not limits.min <= value <= limits.max)
            raise BadTensor(f"data has values outside the range of {datatype}: element {first + place}")
    return np.array(values, dtype)


def _floats(values: list[Any], datatype: str, first: int) -> Array:
    try:
        wide = np.array(values, np.float64)
    except OverflowError:
        raise BadTensor(f"data has values outside the range of {datatype}") from None
    with np.errstate(over="ignore"):
        narrow = wide.astype(dtype_of(datatype))
    beyond = np.isinf(narrow) & np.isfinite(wide)
    if beyond.any():
        place = first + int(beyond.argmax())
        raise BadTensor(f"data has values outside the range of {datatype}: element {place}")
    return narrow


def from_binary(raw: memoryview, datatype: str, shape: Sequence[int]) -> Array:
    """Convert little-endian bytes in row-major order to an array of `shape`. Raises BadTensor."""
    dtype = np.dtype(dtype_of(datatype))
    count = count_of(shape)
    if dtype.kind == "O":
        return _strings(_unpack_strings(raw, count), shape, count)
    if len(raw) != count * dtype.itemsize:
        raise BadTensor(
            f"binary data has {len(raw)} bytes, shape {list(shape)} of {datatype} needs {count * dtype.itemsize}"
        )
    array = np.frombuffer(raw, dtype=dtype.newbyteorder("<")).reshape(shape)
    if not array.flags.aligned:
        array = array.copy()
    if dtype.kind == "b" and array.size and int(array.view(np.uint8).max()) > 1:
        raise BadTensor("binary data of BOOL has bytes other than 0 and 1")
    return array


def to_json(array: Array) -> list[object]:
    """Convert an array to a flat list in row-major order. NaN and infinities, which JSON lacks, become null."""
    values: list[object] = array.ravel().tolist()
    if array.dtype.kind == "O":
        return [value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in values]
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return [value if math.isfinite(value) else None for value in array.ravel().tolist()]
    return values


def to_binary(array: Array) -> bytes | memoryview:
    """Convert an array to little-endian bytes, row-major, without a copy if possible. Text follows its length."""
    if array.dtype.kind != "O":
        contiguous = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        return contiguous.reshape(-1).view(np.uint8).data if array.size else b""
    encoded = [value if isinstance(value, bytes) else str(value).encode() for value in array.ravel().tolist()]
    return b"".join(struct.pack("<I", len(value)) + value for value in encoded)


def count_of(shape: Sequence[int]) -> int:
    """The number of elements. Raises BadTensor for a negative dimension, and for one that no tensor has."""
    if any(size < 0 for size in shape):
        raise BadTensor(f"shape {list(shape)} has a negative dimension")
    count = math.prod(shape)
    if math.prod(size for size in shape if size) > (LARGEST_SHAPE if count else LARGEST_EMPTY):
        raise BadTensor(f"shape {list(shape)} is larger than any tensor")
    return count


def json_of_python(text: bytes) -> object:
    """JSON with NaN and Infinity in it, as Python's own encoder writes them. Raises ValueError, RecursionError."""
    return json.loads(text.decode(), parse_float=_finite)


def _finite(written: str) -> float:
    """A decimal number, which Python's own decoder would read as infinite where it is too large."""
    number = float(written)
    if math.isinf(number):
        raise ValueError(f"{written[:40]} is beyond the range of numbers")
    return number


def _flat(data: list[Any]) -> list[Any]:
    """The values of nested lists, level by level, without recursion, because the client decides the depth."""
    while list in set(map(type, data)):
        lengths = {len(row) if type(row) is list else -1 for row in data}
        if len(lengths) != 1:
            raise BadTensor("data is a list whose rows have different lengths")
        data = list(chain.from_iterable(data))
    return data


def _strings(values: Sequence[object], shape: Sequence[int], count: int) -> Array:
    if len(values) != count:
        raise BadTensor(f"data has {len(values)} elements, shape {list(shape)} needs {count}")
    array = np.empty(count, dtype=np.object_)
    array[:] = values
    return array.reshape(shape)


def _unpack_strings(raw: memoryview, count: int) -> list[str]:
    values: list[str] = []
    position = 0
    while position < len(raw):
        if len(values) == count:
            raise BadTensor(f"binary data of BYTES has more than {count} elements")
        if position + 4 > len(raw):
            raise BadTensor("binary data of BYTES ends within a length")
        (length,) = struct.unpack_from("<I", raw, position)
        position += 4
        if position + length > len(raw):
            raise BadTensor("binary data of BYTES ends within an element")
        try:
            values.append(bytes(raw[position : position + length]).decode())
        except UnicodeDecodeError as error:
            raise BadTensor("binary data of BYTES has an element that is not UTF-8 text") from error
        position += length
    return values
