"""Bytes of a request to tensors, and tensors to bytes of the answer. Pure: the hot path, with nothing of HTTP in it.

Sources: Open Inference Protocol v2 (HTTP/REST), and its binary tensor data extension.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, Struct, UnsetType

from plimsoll.runtime.model import OnnxModel
from plimsoll.runtime.server.responses import Buffer
from plimsoll.runtime.specs import ModelSpec
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


class Question(Struct, kw_only=True, gc=False):
    """A request as arrays. `binary` says for each output whether it is wanted in binary."""

    inputs: dict[str, Array]
    id: str | None = None
    outputs: Sequence[str] = ()
    binary: Mapping[str, bool] = {}
    all_binary: bool = False
    parameters: Mapping[str, Any] = {}


_DECODER = msgspec.json.Decoder(InferRequest)
_ENCODER = msgspec.json.Encoder()
_KINDS: dict[str, type] = {"b": bool, "i": int, "u": int, "f": float, "O": str}
"""Kinds of numpy types to what JSON has for them; floats may be written as whole numbers."""
MOST_KNOWN = 256
"""Signatures and layouts that are remembered: clients repeat theirs."""


class Exchange:
    """Reads requests to one model version and writes its answers.

    What most clients send (flat lists of plain values, every output in JSON) is decoded into lists of one type and
    laid out from parts that were encoded before; all else goes through `decode` and `encode`, to the same end.
    """

    def __init__(self, model: OnnxModel, version: str) -> None:
        self.model = model
        self.version = version
        self._dtypes = {tensor.name: np.dtype(dtype_of(tensor.datatype)) for tensor in model.spec.inputs}
        self._decoder = _plain_decoder(model.spec)
        self._count = len(model.spec.inputs)
        self._signatures: dict[tuple[Any, ...], int] = {}
        self._layouts: dict[Any, list[bytes]] = {}
        self._start = b'{"model_name":%b,"model_version":%b,' % tuple(map(_ENCODER.encode, (model.spec.name, version)))

    def read(self, body: Buffer, json_length: str | None) -> Question:
        """The arrays of a request. Raises BadTensor with a reason for the sender."""
        if json_length is None and self._decoder is not None:
            try:
                question = self._plain(self._decoder.decode(body))
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, OverflowError, BadTensor):
                question = None
            if question is not None:
                return question
        length = None
        if json_length is not None:
            if not (json_length.isascii() and json_length.isdigit()) or len(json_length) > 12:
                raise BadTensor("Inference-Header-Content-Length is not a number of bytes")
            length = int(json_length)
        return decode(body, length, self.model)

    def _plain(self, request: Any) -> Question | None:
        """`None` when something in it is for the general way, be it only to say what is wrong."""
        inputs: dict[str, Array] = {}
        for tensor in request.inputs:
            name, shape, data = tensor.name, tensor.shape, tensor.data
            signature = (name, tensor.datatype, *shape)
            count = self._signatures.get(signature)
            if count is None:
                count = self._learn(signature, name, tensor.datatype, shape)
            if len(data) != count or tensor.parameters:
                return None
            inputs[name] = np.array(data, self._dtypes[name]).reshape(shape)
        if len(inputs) != self._count or len(request.inputs) != self._count:
            return None
        if not request.outputs and not request.parameters:
            return Question(inputs=inputs, id=request.id)
        outputs = request.outputs or ()
        parameters = request.parameters or {}
        if any(output.parameters for output in outputs) or "binary_data_output" in parameters:
            return None
        names = tuple(output.name for output in outputs)
        return Question(inputs=inputs, id=request.id, outputs=names, parameters=parameters)

    def _learn(self, signature: tuple[Any, ...], name: str, datatype: str, shape: Sequence[int]) -> int:
        self.model.check(name, datatype, shape)
        if min(shape, default=0) < 0:
            raise BadTensor("negative")
        if len(self._signatures) >= MOST_KNOWN:
            self._signatures.clear()
        count = self._signatures[signature] = math.prod(shape)
        return count

    def write(self, question: Question, results: Mapping[str, Array]) -> tuple[bytes | list[Buffer], int | None]:
        """The body of the answer, and the length of its JSON when binary data follows."""
        if question.all_binary or question.binary:
            return encode(question, self.model, self.version, results)
        key = tuple([(name, array.shape) for name, array in results.items()])
        layout = self._layouts.get(key)
        if layout is None:
            if len(self._layouts) >= MOST_KNOWN:
                self._layouts.clear()
            layout = self._layouts[key] = self._layout(results)
        parts: list[bytes] = [self._start]
        if question.id is not None:
            parts += (b'"id":', _ENCODER.encode(question.id), b",")
        for before, array in zip(layout, results.values(), strict=True):
            # Floats that JSON cannot say (NaN, infinities) are written as null by the encoder.
            values = to_json(array) if array.dtype.kind == "O" else array.ravel().tolist()
            parts += (before, _ENCODER.encode(values))
        parts.append(b"}]}")
        return b"".join(parts), None

    def _layout(self, results: Mapping[str, Array]) -> list[bytes]:
        """What stands before the data of each output."""
        layout = []
        for number, (name, array) in enumerate(results.items()):
            head = {"name": name, "datatype": datatype_of(array), "shape": array.shape}
            layout.append((b"},{" if number else b'"outputs":[{') + _ENCODER.encode(head)[1:-1] + b',"data":')
        return layout


def _plain_decoder(spec: ModelSpec) -> msgspec.json.Decoder[Any] | None:
    """A decoder for inputs of one kind of value; `None` when the model's inputs are of several."""
    kinds = {_KINDS[np.dtype(dtype_of(tensor.datatype)).kind] for tensor in spec.inputs}
    if len(kinds) != 1:
        return None
    (kind,) = kinds
    tensor = msgspec.defstruct(
        "PlainTensor",
        [
            ("name", str),
            ("shape", list[int]),
            ("datatype", str),
            ("data", list[kind]),  # type: ignore[valid-type]
            ("parameters", dict[str, Any] | None, None),
        ],
        gc=False,
    )
    request = msgspec.defstruct(
        "PlainRequest",
        [
            ("inputs", list[tensor]),  # type: ignore[valid-type]
            ("id", str | None, None),
            ("parameters", dict[str, Any], {}),
            ("outputs", tuple[RequestedOutput, ...], ()),
        ],
        gc=False,
    )
    return msgspec.json.Decoder(request)


def decode(body: Buffer, header_length: int | None, model: OnnxModel) -> Question:
    """The arrays of a request, whatever it is made of. Raises BadTensor with a reason for the sender."""
    if header_length is not None and not 0 <= header_length <= len(body):
        raise BadTensor(f"Inference-Header-Content-Length is {header_length}, the body has {len(body)} bytes")
    whole = memoryview(body)
    end = len(body) if header_length is None else header_length
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


def encode(
    question: Question, model: OnnxModel, version: str, results: Mapping[str, Array]
) -> tuple[bytes | list[Buffer], int | None]:
    """The body of the answer, and the length of its JSON when binary data follows."""
    outputs, trailing = [], []
    for name, array in results.items():
        described: dict[str, Any] = {"name": name, "datatype": datatype_of(array), "shape": array.shape}
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
    return ([head, *trailing], len(head)) if trailing else (head, None)


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
