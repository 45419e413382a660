"""Convert between the protocol's data, in JSON or binary, and numpy arrays. Pure.

Source: Open Inference Protocol v2, "Tensor Data" and the binary tensor data extension.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

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

_DATATYPES = {(np.dtype(kind).kind, np.dtype(kind).itemsize): name for name, kind in DTYPES.items()}

_KINDS = {"b": "b", "i": "iu", "u": "iu", "f": "iuf", "O": "OU"}
"""The numpy kinds of JSON values that each kind of tensor accepts."""


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
    dtype = np.dtype(dtype_of(datatype))
    count = _count(shape)
    if not isinstance(data, list):
        raise BadTensor("data must be a list")
    if dtype.kind == "O":
        return _strings(_flat(data), shape, count)
    try:
        array = np.array(data)
    except (ValueError, OverflowError) as error:
        raise BadTensor("data is a list whose rows have different lengths") from error
    if array.size != count:
        raise BadTensor(f"data has {array.size} elements, shape {list(shape)} needs {count}")
    if datatype == "UINT64" and array.dtype.kind == "f":
        array = _parse_uint64(data)
    if array.size and array.dtype.kind not in _KINDS[dtype.kind]:
        raise BadTensor(f"data has values that are not of the datatype {datatype}")
    if dtype.kind in "iu" and array.size:
        limits = np.iinfo(dtype)
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            raise BadTensor(f"data has values outside the range of {datatype}")
    with np.errstate(over="ignore"):
        return array.astype(dtype).reshape(shape)


def from_binary(raw: memoryview, datatype: str, shape: Sequence[int]) -> Array:
    """Convert little-endian bytes in row-major order to an array of `shape`. Raises BadTensor."""
    dtype = np.dtype(dtype_of(datatype))
    count = _count(shape)
    if dtype.kind == "O":
        return _strings(_unpack_strings(raw), shape, count)
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


def _parse_uint64(data: list[object]) -> Array:
    """Convert integers of which some need all 64 bits; numpy alone would make floats of them. Raises BadTensor."""
    flat = _flat(data)
    if not all(type(value) is int and 0 <= value < 2**64 for value in flat):
        raise BadTensor("data has values that are not of the datatype UINT64")
    return np.array(flat, dtype=np.uint64)


def _count(shape: Sequence[int]) -> int:
    if any(size < 0 for size in shape):
        raise BadTensor(f"shape {list(shape)} has a negative dimension")
    return math.prod(shape)


def _flat(data: list[object]) -> list[object]:
    """Flatten nested lists without recursion, because the client decides the depth."""
    flat: list[object] = []
    waiting = [iter(data)]
    while waiting:
        for item in waiting[-1]:
            if isinstance(item, list):
                waiting.append(iter(item))
                break
            flat.append(item)
        else:
            waiting.pop()
    return flat


def _strings(values: Sequence[object], shape: Sequence[int], count: int) -> Array:
    if len(values) != count:
        raise BadTensor(f"data has {len(values)} elements, shape {list(shape)} needs {count}")
    if not all(isinstance(value, str) for value in values):
        raise BadTensor("data of BYTES has values that are not text")
    array = np.empty(count, dtype=np.object_)
    array[:] = values
    return array.reshape(shape)


def _unpack_strings(raw: memoryview) -> list[str]:
    values, position = [], 0
    while position < len(raw):
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
