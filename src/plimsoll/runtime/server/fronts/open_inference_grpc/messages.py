"""Messages of the protocol to tensors, and tensors to messages. Pure.

Source: Open Inference Protocol v2 (gRPC). Clients send tensors in `raw_input_contents`, or typed in `contents`;
responses have `raw_output_contents`, as the clients of the protocol's origin expect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from plimsoll.runtime.long_lists import StillWanted
from plimsoll.runtime.model import Model
from plimsoll.runtime.server.protocol import calls
from plimsoll.runtime.server.request import InferenceRequest
from plimsoll.runtime.tensors import Array, BadTensor, count_of, datatype_of, dtype_of, from_binary, to_binary

PIECE = 8192
"""Values that are converted at once: a millisecond."""
Message = Any
"""A message of the protocol. The classes are made from the descriptor at import, so that they have no static type."""
RESPONSE = calls()["ModelInfer"][1]
CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""The field of `contents` for each datatype. FP16 has none: it is sent in `raw_input_contents`."""


def request_of(request: Message, model: Model, still_wanted: StillWanted = lambda: None) -> InferenceRequest:
    """The arrays of a `ModelInferRequest`. Raises BadTensor, and what `still_wanted` raises."""
    raw = list(request.raw_input_contents)
    if raw and len(raw) != len(request.inputs):
        raise BadTensor(f"there are {len(raw)} raw_input_contents for {len(request.inputs)} inputs")
    inputs: dict[str, Array] = {}
    for number, tensor in enumerate(request.inputs):
        if tensor.name in inputs:
            raise BadTensor(f"input '{tensor.name[:80]}' is given twice")
        dtype_of(tensor.datatype)
        shape = tuple(tensor.shape)
        model.check(tensor.name, tensor.datatype, shape)
        if raw and tensor.HasField("contents"):
            raise BadTensor(f"input '{tensor.name[:80]}': it has both contents and raw_input_contents")
        try:
            data = (
                from_binary(memoryview(raw[number]), tensor.datatype, shape)
                if raw
                else _typed(tensor, shape, still_wanted)
            )
        except BadTensor as error:
            raise BadTensor(f"input '{tensor.name[:80]}': {error}") from error
        inputs[tensor.name] = data
    outputs = tuple(output.name for output in request.outputs)
    return InferenceRequest(
        inputs=inputs, id=request.id or None, outputs=outputs, parameters=_parameters(request.parameters)
    )


def _typed(tensor: Message, shape: tuple[int, ...], still_wanted: StillWanted) -> Array:
    """The array of a tensor in `contents`. Raises BadTensor."""
    place = CONTENTS.get(tensor.datatype)
    if place is None:
        raise BadTensor(f"{tensor.datatype} has no place in contents; send it in raw_input_contents")
    values = getattr(tensor.contents, place)
    count = count_of(shape)
    if len(values) != count:
        raise BadTensor(f"contents has {len(values)} elements in {place}, shape {list(shape)} wants {count}")
    if tensor.datatype == "BYTES":
        array = np.empty(len(values), dtype=np.object_)
        try:
            array[:] = [value.decode() for value in values]
        except UnicodeDecodeError as error:
            raise BadTensor("BYTES has an element that is not UTF-8 text") from error
        return array.reshape(shape)
    array = np.empty(len(values), dtype_of(tensor.datatype))
    try:
        for start in range(0, len(values), PIECE):
            still_wanted()
            array[start : start + PIECE] = np.array(values[start : start + PIECE], array.dtype)
    except OverflowError as error:
        raise BadTensor(f"contents has values beyond the range of {tensor.datatype}") from error
    return array.reshape(shape)


def _parameters(parameters: Mapping[str, Message]) -> dict[str, object]:
    found = {}
    for name, value in parameters.items():
        choice = value.WhichOneof("parameter_choice")
        if choice is not None:
            found[name] = getattr(value, choice)
    return found


def response_of(request: InferenceRequest, model: str, version: str, results: Mapping[str, Array]) -> Message:
    """A `ModelInferResponse`: every output in `raw_output_contents`."""
    outputs = [{"name": name, "datatype": datatype_of(array), "shape": array.shape} for name, array in results.items()]
    return RESPONSE(
        model_name=model,
        model_version=version,
        id=request.id or "",
        outputs=outputs,
        raw_output_contents=[bytes(to_binary(array)) for array in results.values()],
    )
