"""Bodies of requests to tensors, and tensors to bodies of responses, for one model version. Pure: this is the hot path.

Sources: Open Inference Protocol v2 (HTTP/REST), and its binary tensor data extension.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Protocol

import msgspec
import numpy as np

from plimsoll.decoding import UNREADABLE
from plimsoll.runtime.model import Model
from plimsoll.runtime.server.fronts.open_inference_http.general_codec import (
    PIECE,
    HttpRequest,
    RequestedOutput,
    decode,
    encode,
    json_pieces,
)
from plimsoll.runtime.server.fronts.open_inference_http.long_body import LONG
from plimsoll.runtime.server.reading import Reading
from plimsoll.runtime.server.responses import Buffer
from plimsoll.runtime.specs import ModelSpec
from plimsoll.runtime.tensors import (
    Array,
    BadTensor,
    count_of,
    datatype_of,
    dtype_of,
)

Signature = tuple[object, ...]
"""An input's name, datatype and shape."""
_ENCODER = msgspec.json.Encoder()
_KINDS: dict[str, type] = {"b": bool, "i": int, "u": int, "f": float, "O": str}
"""Kinds of numpy types to JSON's types; floats may be written as whole numbers."""
LARGE = 4 << 20
"""Bytes of numbers in binary that may have to be copied to be aligned."""
FEW = 64
"""Parts of a response that are joined."""
MOST_KNOWN = 256
"""Signatures and layouts that are remembered: clients repeat theirs."""


class _PlainTensor(Protocol):
    """What the decoder of `_plain_decoder` makes of one input."""

    name: str
    shape: list[int]
    datatype: str
    data: list[object]
    parameters: dict[str, object] | None


class _PlainRequest(Protocol):
    """What it makes of a request."""

    inputs: list[_PlainTensor]
    id: str | None
    parameters: dict[str, object] | None
    outputs: tuple[RequestedOutput, ...] | None


class Codec:
    """Reads the requests to one model version and writes its responses.

    The usual request (flat lists of plain values, every output in JSON) is decoded into lists of one type, and its
    response is joined from parts that are encoded once. All other requests go through `decode` and `encode`, with the
    same results.
    """

    def __init__(self, model: Model, version: str) -> None:
        self.model = model
        self.version = version
        self._dtypes = {tensor.name: np.dtype(dtype_of(tensor.datatype)) for tensor in model.spec.inputs}
        self._decoder = _plain_decoder(model.spec)
        self._count = len(model.spec.inputs)
        self._is_looked_at = any(tensor.datatype in {"BYTES", "BOOL"} for tensor in model.spec.inputs)
        self._signatures: dict[Signature, int] = {}
        self._layouts: dict[tuple[tuple[str, tuple[int, ...]], ...], list[bytes]] = {}
        self._start = b'{"model_name":%b,"model_version":%b,' % tuple(map(_ENCODER.encode, (model.spec.name, version)))

    def is_long(self, body: Buffer, json_length: str | None) -> bool:
        """Whether reading the body takes so long that it is done in a thread: JSON, and what is looked at or copied."""
        if json_length is None or not json_length.isdigit():
            return len(body) > LONG
        return int(json_length[:12]) > LONG or len(body) > (LONG if self._is_looked_at else LARGE)

    def read_long(self, body: Buffer, json_length: str | None, reading: Reading) -> HttpRequest:
        """The arrays of a long body; called in a thread. Raises BadTensor, Busy, TooLarge, TimeoutError."""
        return decode(body, _json_length(json_length), self.model, reading)

    def read(self, body: Buffer, json_length: str | None) -> HttpRequest:
        """The arrays of a body. Raises BadTensor with a reason for the client."""
        if json_length is None and self._decoder is not None:
            try:
                request = self._plain(self._decoder.decode(body))
            except (*UNREADABLE, OverflowError, BadTensor):
                request = None
            if request is not None:
                return request
        return decode(body, _json_length(json_length), self.model)

    def _plain(self, plain: _PlainRequest) -> HttpRequest | None:
        """The request; `None` when `decode` must read it, also to say what is wrong with it."""
        inputs: dict[str, Array] = {}
        for tensor in plain.inputs:
            name, shape, data = tensor.name, tensor.shape, tensor.data
            signature = (name, tensor.datatype, *shape)
            count = self._signatures.get(signature)
            if count is None:
                count = self._learn(signature, name, tensor.datatype, shape)
            if len(data) != count or tensor.parameters:
                return None
            inputs[name] = np.array(data, self._dtypes[name]).reshape(shape)
        if len(inputs) != self._count or len(plain.inputs) != self._count:
            return None
        if not plain.outputs and not plain.parameters:
            return HttpRequest(inputs=inputs, id=plain.id)
        outputs = plain.outputs or ()
        parameters = plain.parameters or {}
        if any(output.parameters for output in outputs) or "binary_data_output" in parameters:
            return None
        if None in parameters.values():
            return None
        names = tuple(output.name for output in outputs)
        return HttpRequest(inputs=inputs, id=plain.id, outputs=names, parameters=parameters)

    def _learn(self, signature: Signature, name: str, datatype: str, shape: Sequence[int]) -> int:
        self.model.check(name, datatype, shape)
        count = count_of(shape)
        if len(self._signatures) >= MOST_KNOWN:
            self._signatures.clear()
        self._signatures[signature] = count
        return count

    def write(self, request: HttpRequest, results: Mapping[str, Array]) -> tuple[bytes | list[Buffer], int | None]:
        """The body of the response, and the length of its JSON when binary data follows."""
        if request.all_binary or request.binary:
            return encode(request, self.model, self.version, results)
        key = tuple([(name, array.shape) for name, array in results.items()])
        layout = self._layouts.get(key)
        if layout is None:
            if len(self._layouts) >= MOST_KNOWN:
                self._layouts.clear()
            layout = self._layouts[key] = self._layout(results)
        parts: list[bytes] = [self._start]
        if request.id is not None:
            parts += (b'"id":', _ENCODER.encode(request.id), b",")
        for before, array in zip(layout, results.values(), strict=True):
            # As `json_pieces` does, without calling it: this runs for every output.
            if array.size > PIECE or array.dtype.kind == "O":
                parts += (before, *json_pieces(array))
            else:
                parts += (before, _ENCODER.encode(array.ravel().tolist()))
        parts.append(b"}]}")
        return (list(parts) if len(parts) > FEW else b"".join(parts)), None

    def _layout(self, results: Mapping[str, Array]) -> list[bytes]:
        """The bytes before the data of each output."""
        layout = []
        for number, (name, array) in enumerate(results.items()):
            head = {"name": name, "datatype": datatype_of(array), "shape": array.shape}
            layout.append((b"},{" if number else b'"outputs":[{') + _ENCODER.encode(head)[1:-1] + b',"data":')
        return layout


def _bounded(spec: ModelSpec, kind: type) -> Any:  # an annotation with limits is no type to mypy
    """The type of a value with the limits of the narrowest input: `decode` reads what is beyond them, or refuses it."""
    if kind not in {int, float}:
        return kind
    dtypes = [np.dtype(dtype_of(tensor.datatype)) for tensor in spec.inputs]
    infos = [np.iinfo(dtype) if kind is int else np.finfo(dtype) for dtype in dtypes]
    low, high = max(kind(info.min) for info in infos), min(kind(info.max) for info in infos)
    # The decoder takes limits of 64 signed bits; numpy refuses whole numbers beyond its own.
    limits = msgspec.Meta(ge=low) if high > 2**63 - 1 and kind is int else msgspec.Meta(ge=low, le=high)
    return Annotated[kind, limits]


def _json_length(text: str | None) -> int | None:
    """The header's number of bytes. Raises BadTensor."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 12:
        raise BadTensor("Inference-Header-Content-Length is not a number of bytes")
    return int(text)


def _plain_decoder(spec: ModelSpec) -> msgspec.json.Decoder[_PlainRequest] | None:
    """A decoder for a model whose inputs are all of one JSON type; `None` for other models."""
    kinds = {_KINDS[np.dtype(dtype_of(tensor.datatype)).kind] for tensor in spec.inputs}
    if len(kinds) != 1:
        return None
    kind = _bounded(spec, *kinds)
    tensor = msgspec.defstruct(
        "PlainTensor",
        [
            ("name", str),
            ("shape", list[int]),
            ("datatype", str),
            ("data", list[kind]),  # type: ignore[valid-type]
            ("parameters", dict[str, object] | None, None),
        ],
        gc=False,
    )
    request = msgspec.defstruct(
        "PlainRequest",
        [
            ("inputs", list[tensor]),  # type: ignore[valid-type]
            ("id", str | None, None),
            ("parameters", dict[str, object] | None, None),
            ("outputs", tuple[RequestedOutput, ...] | None, None),
        ],
        gc=False,
    )
    decoder: msgspec.json.Decoder[_PlainRequest] = msgspec.json.Decoder(request)
    return decoder
