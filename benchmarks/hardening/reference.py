"""A second reader of inference requests, slow and strict, written from the protocol and not from the server. Pure.

Source: Open Inference Protocol v2, "Tensor Data" and the binary tensor data extension. Each JSON value becomes the
tensor's type without loss, or is refused; only decimals are rounded to floats. What the protocol leaves open is
`Unclear`: then any answer is right.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

Array = npt.NDArray[Any]
KINDS: dict[str, type[np.generic]] = {
    "BOOL": np.bool_, "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64, "UINT8": np.uint8,
    "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64, "FP16": np.float16, "FP32": np.float32,
    "FP64": np.float64, "BYTES": np.object_,
}  # fmt: skip


class Refused(Exception):
    """A server that answers this request with results has read something that is not there."""


class Unclear(Exception):
    """The protocol does not say what this request means."""


class Read(Struct, frozen=True):
    """What a request says: arrays by input, the outputs that it asks for (empty: all), its id."""

    inputs: dict[str, Array]
    outputs: tuple[str, ...]
    id: str | None


def read(body: bytes, json_length: int | None, datatypes: Mapping[str, str]) -> Read:
    """Read a body for a model whose inputs have two open dimensions. Raises Refused, Unclear."""
    end = len(body) if json_length is None else json_length
    if json_length == 0:
        return Read(_raw(body, datatypes), (), None)
    request, rest = _document(body[:end]), body[end:]
    tensors = _list(request.get("inputs"), "inputs")
    inputs: dict[str, Array] = {}
    for tensor in tensors:
        name = tensor.get("name") if isinstance(tensor, dict) else None
        if not isinstance(name, str) or name in inputs or tensor.get("datatype") != datatypes.get(name, ""):
            raise Refused("an input's name or datatype")
        inputs[name], rest = _array(tensor, rest)
    if rest:
        raise Refused("bytes that belong to no input")
    if len(inputs) != len(datatypes):
        raise Refused("an input is missing")
    identity = request.get("id")
    if not isinstance(identity, str | None):
        raise Refused("the id is no text")
    return Read(inputs, _wanted(request.get("outputs")), identity if identity is None else _text(identity))


def _document(text: bytes) -> dict[str, Any]:
    try:
        # Text that is not UTF-8 in a place that nobody reads is nobody's fault; elsewhere `_text` refuses it.
        found = json.loads(
            text.decode(errors="surrogateescape"),
            parse_float=decimal,
            parse_constant=_constant,
            object_pairs_hook=_object,
        )
    except RecursionError:
        raise Unclear("deep nesting") from None
    except ValueError:
        raise Refused("no JSON") from None
    if not isinstance(found, dict):
        raise Refused("no object")
    return found


def _constant(word: str) -> float:
    """What Python's own encoder writes, and JSON does not have."""
    return float(word)


def decimal(text: str) -> Decimal:
    """A number as it is written. Decimal has no exponents of twenty digits, which are infinite or nothing."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal(float(text))


def _raw(body: bytes, datatypes: Mapping[str, str]) -> dict[str, Array]:
    """The bytes of the only input: one row, or one text. Raises Refused, Unclear."""
    if len(datatypes) != 1:
        raise Refused("a raw binary request for several inputs")
    ((name, datatype),) = datatypes.items()
    if datatype == "BYTES":
        return {name: from_bytes(struct.pack("<I", len(body)) + body, datatype, (1, 1))}
    return {name: from_bytes(body, datatype, (1, len(body) // np.dtype(KINDS[datatype]).itemsize))}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise Unclear("a member is given twice")
    return dict(pairs)


def _list(value: object, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise Refused(f"{what} is no list")
    return value


def _wanted(outputs: object) -> tuple[str, ...]:
    if outputs is None:
        return ()
    names = [each.get("name") if isinstance(each, dict) else None for each in _list(outputs, "outputs")]
    if not all(isinstance(name, str) for name in names):
        raise Refused("an output without a name")
    if len(set(names)) != len(names):
        raise Unclear("an output is asked for twice")
    return tuple(str(name) for name in names)


def _array(tensor: Mapping[str, Any], rest: bytes) -> tuple[Array, bytes]:
    datatype, shape = tensor["datatype"], _shape(tensor.get("shape"))
    parameters = tensor.get("parameters")
    if not isinstance(parameters, dict | None):
        raise Refused("parameters are no object")
    size = (parameters or {}).get("binary_data_size")
    if size is None:
        if "data" not in tensor:
            raise Refused("no data")
        return from_values(_flat(_list(tensor["data"], "data")), datatype, shape), rest
    if tensor.get("data") is not None:
        raise Refused("data twice")
    if type(size) is not int or not 0 <= size <= len(rest):
        raise Refused("binary_data_size")
    return from_bytes(rest[:size], datatype, shape), rest[size:]


def _shape(value: object) -> tuple[int, ...]:
    sizes = _list(value, "shape")
    if any(type(size) is Decimal and size == size.to_integral_value() for size in sizes):
        raise Unclear("a whole number in the form of a decimal")
    if len(sizes) != 2 or not all(type(size) is int and size >= 0 for size in sizes):
        raise Refused("shape")
    return (sizes[0], sizes[1])


def _flat(data: list[Any]) -> list[Any]:
    flat: list[Any] = []
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


def from_values(values: Sequence[Any], datatype: str, shape: Sequence[int]) -> Array:
    """The array of JSON values. Raises Refused for the first that is not of the datatype, Unclear."""
    if len(values) != math.prod(shape):
        raise Refused("the number of elements")
    array: Array = np.empty(len(values), dtype=KINDS[datatype])
    for number, value in enumerate(values):
        array[number] = element(value, datatype)
    return array.reshape(shape)


def element(value: Any, datatype: str) -> Any:
    """One value as the datatype without loss. Raises Refused."""
    kind = np.dtype(KINDS[datatype])
    if datatype in {"BYTES", "BOOL"}:
        if not isinstance(value, str if datatype == "BYTES" else bool):
            raise Refused(f"a value of {type(value).__name__} is not {datatype}")
        return _text(value) if isinstance(value, str) else value
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | None):
        raise Refused(f"a value of {type(value).__name__} is not {datatype}")
    if kind.kind == "f":
        with np.errstate(over="ignore"):
            number = kind.type(math.nan if value is None else _float(value))
        if np.isinf(number) and not (isinstance(value, float) and math.isinf(value)):
            raise Refused(f"a number beyond the range of {datatype}")
        return number
    if isinstance(value, Decimal) and value.is_finite() and value and value.adjusted() > 40:
        raise Refused(f"a number beyond the range of {datatype}")
    if value is None or not math.isfinite(value) or value != int(value):
        raise Refused(f"a number that is not whole is not {datatype}")
    limits = np.iinfo(kind)
    if not limits.min <= int(value) <= limits.max:
        raise Refused(f"a number beyond the range of {datatype}")
    return int(value)


def _float(value: float | Decimal) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Refused("a text that UTF-8 cannot hold") from None
    return value


def from_bytes(raw: bytes, datatype: str, shape: Sequence[int]) -> Array:
    """The array of little-endian bytes. Raises Refused, Unclear."""
    count, kind = math.prod(shape), np.dtype(KINDS[datatype])
    if datatype != "BYTES":
        if len(raw) != count * kind.itemsize:
            raise Refused("the number of bytes")
        if datatype == "BOOL" and raw.strip(b"\0\1"):
            raise Refused("a byte that is no BOOL")
        return np.frombuffer(raw, kind.newbyteorder("<")).astype(kind).reshape(shape)
    values: list[str] = []
    while raw:
        if len(raw) < 4 or len(raw) < 4 + (length := struct.unpack_from("<I", raw)[0]):
            raise Refused("an element that is not whole")
        try:
            values.append(raw[4 : 4 + length].decode())
        except UnicodeDecodeError:
            raise Unclear("bytes that are no text") from None
        raw = raw[4 + length :]
    return from_values(values, "BYTES", shape)
