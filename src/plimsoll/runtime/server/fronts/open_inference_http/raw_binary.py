"""Requests of the binary tensor data extension that have no JSON: only the bytes of the model's one input. Pure.

Source: the extension of the protocol's origin, "Raw Binary Request".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from plimsoll.runtime.model import Model
from plimsoll.runtime.tensors import Array, BadTensor, dtype_of, from_binary, from_values


def read_raw(body: memoryview, model: Model) -> dict[str, Array]:
    """The model's only input. Text is one element, without its length before it. Raises BadTensor."""
    inputs = model.spec.inputs
    if len(inputs) != 1:
        raise BadTensor(f"a body without JSON is for models with one input; '{model.spec.name}' has {len(inputs)}")
    (tensor,) = inputs
    try:
        if tensor.datatype == "BYTES":
            return {tensor.name: _text(body, tensor.shape)}
        shape = _shape_of(tensor.shape, len(body), np.dtype(dtype_of(tensor.datatype)).itemsize)
        return {tensor.name: from_binary(body, tensor.datatype, shape)}
    except BadTensor as error:
        raise BadTensor(f"input '{tensor.name}': {error}") from error


def _text(body: memoryview, shape: Sequence[int]) -> Array:
    sizes = [size if size >= 0 else 1 for size in shape]
    if math.prod(sizes) != 1:
        raise BadTensor(f"a body without JSON is one text, shape {list(shape)} needs {math.prod(sizes)}")
    try:
        return from_values([bytes(body).decode()], "BYTES").reshape(sizes)
    except UnicodeDecodeError as error:
        raise BadTensor("the body is not UTF-8 text") from error


def _shape_of(shape: Sequence[int], length: int, size: int) -> list[int]:
    """The shape in which `length` bytes fill the open dimension; of several, the first is a batch of 1.

    Raises BadTensor when the number of bytes cannot tell the shape.
    """
    found = list(shape)
    places = [place for place, each in enumerate(found) if each < 0]
    if len(places) > 1 and places[0] == 0:
        found[places.pop(0)] = 1
    if len(places) > 1:
        raise BadTensor(f"the number of bytes cannot tell all open dimensions of the shape {list(shape)}")
    step = size * math.prod(each for each in found if each >= 0)
    for place in places:
        if step == 0 or length % step:
            raise BadTensor(f"the body has {length} bytes, no multiple of the {step} that shape {list(shape)} needs")
        found[place] = length // step
    return found
