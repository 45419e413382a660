"""The general way between bodies and tensors: every form that the protocol allows, and the reason of every refusal.

Sources: Open Inference Protocol v2 (HTTP/REST), and its binary tensor data extension.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from plimsoll.runtime.model import OnnxModel
from plimsoll.runtime.server.request import InferenceRequest
from plimsoll.runtime.server.responses import Buffer
from plimsoll.runtime.tensors import (
    Array,
    BadTensor,
    datatype_of,
    dtype_of,
    from_binary,
    from_json,
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
    data: list[Any] | UnsetType = UNSET
    parameters: dict[str, Any] = {}


class RequestedOutput(Struct, frozen=True):
    """One output that the client asks for."""

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(Struct, frozen=True):
    """The JSON of an inference request."""

    inputs: tuple[InputTensor, ...]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: tuple[RequestedOutput, ...] = ()


_DECODER = msgspec.json.Decoder(InferRequest)
_ENCODER = msgspec.json.Encoder()


def decode(body: Buffer, json_length: int | None, model: OnnxModel) -> HttpRequest:
    """The arrays of a body in any form. `json_length` is the length of its JSON. Raises BadTensor."""
    if json_length is not None and not 0 <= json_length <= len(body):
        raise BadTensor(f"Inference-Header-Content-Length is {json_length}, the body has {len(body)} bytes")
    whole = memoryview(body)
    end = len(body) if json_length is None else json_length
    try:
        request = _DECODER.decode(whole[:end])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadTensor(f"the request is not an inference request in JSON: {error}") from error
    rest = whole[end:]
    inputs: dict[str, Array] = {}
    for tensor in request.inputs:
        if tensor.name in inputs:
            raise BadTensor(f"input '{tensor.name[:80]}' is given twice")
        dtype_of(tensor.datatype)
        model.check(tensor.name, tensor.datatype, tensor.shape)
        inputs[tensor.name], rest = _array(tensor, rest)
    if rest:
        raise BadTensor(f"{len(rest)} bytes of binary data belong to no input")
    return HttpRequest(
        id=request.id,
        inputs=inputs,
        outputs=tuple(output.name for output in request.outputs),
        binary={
            output.name: output.parameters["binary_data"] is True
            for output in request.outputs
            if "binary_data" in output.parameters
        },
        all_binary=request.parameters.get("binary_data_output") is True,
        parameters=request.parameters,
    )


def encode(
    request: HttpRequest, model: OnnxModel, version: str, results: Mapping[str, Array]
) -> tuple[bytes | list[Buffer], int | None]:
    """The body of the response, and the length of its JSON when binary data follows."""
    outputs, trailing = [], []
    for name, array in results.items():
        described: dict[str, Any] = {"name": name, "datatype": datatype_of(array), "shape": array.shape}
        if request.binary.get(name, request.all_binary):
            raw = to_binary(array)
            described["parameters"] = {"binary_data_size": len(raw)}
            trailing.append(raw)
        else:
            described["data"] = to_json(array)
        outputs.append(described)
    answer: dict[str, Any] = {"model_name": model.spec.name, "model_version": version, "outputs": outputs}
    if request.id is not None:
        answer["id"] = request.id
    head = _ENCODER.encode(answer)
    return ([head, *trailing], len(head)) if trailing else (head, None)


def _array(tensor: InputTensor, rest: memoryview) -> tuple[Array, memoryview]:
    """The array of one input, and the binary data after it. Raises BadTensor."""
    try:
        size = _binary_size(tensor, len(rest))
        if size is None:
            return from_json(tensor.data, tensor.datatype, tensor.shape), rest
        return from_binary(rest[:size], tensor.datatype, tensor.shape), rest[size:]
    except BadTensor as error:
        raise BadTensor(f"input '{tensor.name[:80]}': {error}") from error


def _binary_size(tensor: InputTensor, left: int) -> int | None:
    """The bytes of the tensor's binary data; `None` when its data is in the JSON. Raises BadTensor."""
    size = tensor.parameters.get("binary_data_size")
    if (size is None) == (tensor.data is UNSET):
        raise BadTensor(f"it has {'neither' if size is None else 'both'} data and binary_data_size")
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= left):
        raise BadTensor(f"binary_data_size is {str(size)[:20]}, {left} bytes are left of the body")
    return size
