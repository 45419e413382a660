"""The general way between bodies and tensors: every form that the protocol allows, and the reason of every refusal.

Sources: Open Inference Protocol v2 (HTTP/REST), and its binary tensor data extension.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.runtime.long_lists import array_from
from plimsoll.runtime.model import Model
from plimsoll.runtime.server.fronts.open_inference_http.long_body import LONG, split
from plimsoll.runtime.server.fronts.open_inference_http.raw_binary import read_raw
from plimsoll.runtime.server.reading import Reading
from plimsoll.runtime.server.request import InferenceRequest
from plimsoll.runtime.server.responses import Buffer
from plimsoll.runtime.tensors import (
    Array,
    BadTensor,
    count_of,
    datatype_of,
    dtype_of,
    from_binary,
    from_json,
    json_of_python,
    to_binary,
    to_json,
)


class HttpRequest(InferenceRequest, kw_only=True, gc=False):
    """`binary` says for each output whether it is asked for in binary, `all_binary` says it for the others."""

    binary: Mapping[str, bool] = {}
    all_binary: bool = False


class InputTensor(Struct, frozen=True):
    """One input in the JSON; `data` is left out when it follows in binary."""

    name: str
    shape: tuple[int, ...]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, object] | None = None


class RequestedOutput(Struct, frozen=True):
    """One output that the client asks for."""

    name: str
    parameters: dict[str, object] | None = None


@decodable
class InferRequest(Struct, frozen=True):
    """The JSON of an inference request. Serializers of clients write null for what is not set."""

    inputs: tuple[InputTensor, ...]
    id: str | None = None
    parameters: dict[str, object] | None = None
    outputs: tuple[RequestedOutput, ...] | None = None


_DECODER = msgspec.json.Decoder(InferRequest)
_ENCODER = msgspec.json.Encoder()
PIECE = 8192
"""Values that are encoded at once: a millisecond or two."""
BYTES_OF_TEXT = 64
"""Of an element that is a short text, beside its own length."""


def decode(body: Buffer, json_length: int | None, model: Model, reading: Reading | None = None) -> HttpRequest:
    """The arrays of a body in any form. `json_length` is the length of its JSON. Raises BadTensor.

    A long body has a `reading`: its lists are then counted before they are converted piece by piece, and Busy, TooLarge
    and TimeoutError are raised as well.
    """
    if json_length is not None and not 0 <= json_length <= len(body):
        raise BadTensor(f"Inference-Header-Content-Length is {json_length}, the body has {len(body)} bytes")
    whole = memoryview(body)
    end = len(body) if json_length is None else json_length
    if json_length == 0:
        return HttpRequest(inputs=read_raw(whole, model), all_binary=True)
    head: Buffer = whole[:end]
    lists: list[memoryview] | None = None
    if reading is not None and end > LONG:
        head, lists = split(whole[:end], reading.still_wanted)
    request = _request(head)
    rest = whole[end:]
    inputs: dict[str, Array] = {}
    for tensor in request.inputs:
        if tensor.name in inputs:
            raise BadTensor(f"input '{tensor.name[:80]}' is given twice")
        dtype_of(tensor.datatype)
        model.check(tensor.name, tensor.datatype, tensor.shape)
        inputs[tensor.name], rest = _array(tensor, rest, lists, reading)
    if rest:
        raise BadTensor(f"{len(rest)} bytes of binary data belong to no input")
    parameters = _given(request.parameters)
    outputs = {output.name: _given(output.parameters) for output in request.outputs or ()}
    return HttpRequest(
        id=request.id,
        inputs=inputs,
        outputs=tuple(outputs),
        binary={name: its["binary_data"] is True for name, its in outputs.items() if "binary_data" in its},
        all_binary=parameters.get("binary_data_output") is True,
        parameters=parameters,
    )


def _given(parameters: Mapping[str, object] | None) -> Mapping[str, object]:
    """The parameters that are set: null stands for one that is not."""
    return {name: value for name, value in parameters.items() if value is not None} if parameters else {}


def _request(head: Buffer) -> InferRequest:
    """Raises BadTensor."""
    try:
        return _DECODER.decode(head)
    except UNREADABLE as error:
        plain = bytes(head)
        if b"NaN" in plain or b"Infinity" in plain:
            return _request_of_python(plain)
        raise BadTensor(f"the request is not an inference request in JSON: {error}") from error


def _request_of_python(head: bytes) -> InferRequest:
    """A request with NaN or Infinity in it, as Python's own encoder writes them. Raises BadTensor."""
    try:
        request = msgspec.convert(json_of_python(head), InferRequest)
        # Python reads half of a pair of code units, which no answer can repeat.
        _ENCODER.encode(request)
    except (ValueError, RecursionError) as error:
        raise BadTensor(f"the request is not an inference request in JSON: {error}") from error
    return request


def encode(
    request: HttpRequest, model: Model, version: str, results: Mapping[str, Array]
) -> tuple[bytes | list[Buffer], int | None]:
    """The body of the response, and the length of its JSON when binary data follows."""
    about = {"model_name": model.spec.name, "model_version": version}
    if request.id is not None:
        about["id"] = request.id
    parts: list[Buffer] = [_ENCODER.encode(about)[:-1], b',"outputs":[']
    trailing: list[Buffer] = []
    for number, (name, array) in enumerate(results.items()):
        described: dict[str, object] = {"name": name, "datatype": datatype_of(array), "shape": array.shape}
        in_binary = request.binary.get(name, request.all_binary)
        if in_binary:
            raw = to_binary(array)
            described["parameters"] = {"binary_data_size": len(raw)}
            trailing.append(raw)
        parts.append((b"," if number else b"") + _ENCODER.encode(described)[:-1])
        if not in_binary:
            parts += (b',"data":', *json_pieces(array))
        parts.append(b"}")
    parts.append(b"]}")
    length = sum(map(len, parts))
    if trailing:
        return [*parts, *trailing], length
    return (parts if length > LONG else b"".join(parts)), None


def json_pieces(array: Array) -> list[bytes]:
    """The values in JSON, flat. NaN and infinities, which JSON lacks, become null.

    A long array is in pieces, which nobody joins: a copy of many megabytes stops all other threads.
    """
    if array.size <= PIECE:
        return [_encoded(array.ravel())]
    flat = array.reshape(-1)
    starts = range(0, flat.size, PIECE)
    pieces = [b"," + _encoded(flat[start : start + PIECE])[1:-1] for start in starts]
    return [b"[" + pieces[0][1:], *pieces[1:], b"]"]


def _encoded(flat: Array) -> bytes:
    # The encoder writes floats that JSON does not have as null.
    return _ENCODER.encode(to_json(flat) if flat.dtype.kind == "O" else flat.tolist())


def _array(
    tensor: InputTensor, rest: memoryview, lists: list[memoryview] | None, reading: Reading | None
) -> tuple[Array, memoryview]:
    """The array of one input, and the binary data after it. Raises BadTensor, Busy, TooLarge, TimeoutError."""
    try:
        size = _binary_size(tensor, len(rest))
        if size is None and lists is not None and reading is not None:
            return _of_long_list(tensor, lists, reading), rest
        if size is None:
            return from_json(tensor.data, tensor.datatype, tensor.shape), rest
        if reading is not None and tensor.datatype == "BYTES":
            # The count that the shape promises: more elements than that are refused when the first of them is met.
            reading.reserve(min(count_of(tensor.shape), size // 4) * BYTES_OF_TEXT + size)
        return from_binary(rest[:size], tensor.datatype, tensor.shape), rest[size:]
    except BadTensor as error:
        raise BadTensor(f"input '{tensor.name[:80]}': {error}") from error


def _of_long_list(tensor: InputTensor, lists: list[memoryview], reading: Reading) -> Array:
    """The array of an input whose data is the number of a list. Raises BadTensor, Busy, TooLarge, TimeoutError."""
    number = tensor.data[0] if tensor.data and len(tensor.data) == 1 else None
    if type(number) is not int or not 0 <= number < len(lists):
        raise BadTensor("data is not a list of values")
    text, count = lists[number], count_of(tensor.shape)
    if 2 * count > len(text):
        raise BadTensor(f"data has fewer elements than shape {list(tensor.shape)} needs")
    dtype = np.dtype(dtype_of(tensor.datatype))
    reading.reserve(count * BYTES_OF_TEXT + len(text) if dtype.kind == "O" else count * dtype.itemsize)
    return array_from(text, tensor.datatype, tensor.shape, reading.still_wanted)


def _binary_size(tensor: InputTensor, left: int) -> int | None:
    """The bytes of the tensor's binary data; `None` when its data is in the JSON. Raises BadTensor."""
    size = tensor.parameters.get("binary_data_size") if tensor.parameters else None
    if (size is None) == (tensor.data is None):
        raise BadTensor(f"it has {'neither' if size is None else 'both'} data and binary_data_size")
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= left):
        raise BadTensor(f"binary_data_size is {str(size)[:20]}, {left} bytes are left of the body")
    return size
