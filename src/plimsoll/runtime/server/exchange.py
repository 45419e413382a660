"""Bytes of a request to tensors, and tensors to bytes of the answer. Pure: the hot path, with nothing of HTTP in it.

Sources: Open Inference Protocol v2 (HTTP/REST), and its binary tensor data extension.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from plimsoll.runtime.model import Model
from plimsoll.runtime.tensors import Array, BadTensor, datatype_of, dtype_of, from_binary, from_json, to_binary, to_json


class InputTensor(Struct, frozen=True):
    """One input as it is sent; `data` is left out when it comes in binary."""

    name: str
    shape: tuple[int, ...]
    datatype: str
    data: list[Any] | UnsetType = UNSET
    parameters: dict[str, Any] = {}


class RequestedOutput(Struct, frozen=True):
    """One output that is asked for."""

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(Struct, frozen=True):
    """The JSON of an inference request."""

    inputs: tuple[InputTensor, ...]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: tuple[RequestedOutput, ...] = ()


class Question(Struct, frozen=True, kw_only=True):
    """A request as arrays. `binary` says for each output whether it is wanted in binary."""

    id: str | None
    inputs: dict[str, Array]
    outputs: tuple[str, ...]
    binary: Mapping[str, bool]
    all_binary: bool
    parameters: Mapping[str, Any] = {}


_DECODER = msgspec.json.Decoder(InferRequest)
_ENCODER = msgspec.json.Encoder()


def decode(body: bytes, header_length: int | None, model: Model) -> Question:
    """The arrays of a request. Raises BadTensor with a reason for the sender."""
    if header_length is not None and not 0 <= header_length <= len(body):
        raise BadTensor(f"Inference-Header-Content-Length is {header_length}, the body has {len(body)} bytes")
    head = body if header_length is None else body[:header_length]
    try:
        request = _DECODER.decode(head)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadTensor(f"the request is not an inference request in JSON: {error}") from error
    rest = memoryview(body)[len(head) :]
    inputs: dict[str, Array] = {}
    for tensor in request.inputs:
        if tensor.name in inputs:
            raise BadTensor(f"input '{tensor.name[:80]}' is given twice")
        dtype_of(tensor.datatype)
        model.check(tensor.name, tensor.datatype, tensor.shape)
        inputs[tensor.name], rest = _array(tensor, rest)
    if rest:
        raise BadTensor(f"{len(rest)} bytes of binary data belong to no input")
    return Question(
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


def encode(question: Question, model: Model, version: str, results: Mapping[str, Array]) -> tuple[bytes, int | None]:
    """The body of the answer, and the length of its JSON when binary data follows."""
    specs = {tensor.name: tensor for tensor in model.spec.outputs}
    outputs, trailing = [], []
    for name, array in results.items():
        datatype = specs[name].datatype if name in specs else datatype_of(array)
        described: dict[str, Any] = {"name": name, "datatype": datatype, "shape": array.shape}
        if question.binary.get(name, question.all_binary):
            raw = to_binary(array)
            described["parameters"] = {"binary_data_size": len(raw)}
            trailing.append(raw)
        else:
            described["data"] = to_json(array)
        outputs.append(described)
    answer: dict[str, Any] = {"model_name": model.spec.name, "model_version": version, "outputs": outputs}
    if question.id is not None:
        answer["id"] = question.id
    head = _ENCODER.encode(answer)
    return (head + b"".join(trailing), len(head)) if trailing else (head, None)


def _array(tensor: InputTensor, rest: memoryview) -> tuple[Array, memoryview]:
    """The array of one input, and what is left of the binary data after it."""
    try:
        size = _binary_size(tensor, len(rest))
        if size is None:
            return from_json(tensor.data, tensor.datatype, tensor.shape), rest
        return from_binary(rest[:size], tensor.datatype, tensor.shape), rest[size:]
    except BadTensor as error:
        raise BadTensor(f"input '{tensor.name[:80]}': {error}") from error


def _binary_size(tensor: InputTensor, left: int) -> int | None:
    """How many bytes of binary data the tensor says to have; `None` when its data is in the JSON."""
    size = tensor.parameters.get("binary_data_size")
    if (size is None) == (tensor.data is UNSET):
        raise BadTensor(f"it has {'neither' if size is None else 'both'} data and binary_data_size")
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= left):
        raise BadTensor(f"binary_data_size is {str(size)[:20]}, {left} bytes are left of the body")
    return size
