"""The inputs of a model as one matrix, with a column for each feature, and back; the output that is explained. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from plimsoll.runtime.specs import ModelSpec
from plimsoll.runtime.tensors import Array, BadTensor, dtype_of

MOST_FEATURES = 2000
FLOATS = ("FP16", "FP32", "FP64")


def require_explainable(spec: ModelSpec) -> None:
    """Raise BadTensor for inputs that are no numbers, or have more than two dimensions."""
    for tensor in spec.inputs:
        if np.dtype(dtype_of(tensor.datatype)).kind not in "fiub":
            raise BadTensor(f"explanations need numbers, and input '{tensor.name}' is {tensor.datatype}")
        if len(tensor.shape) not in (1, 2):
            raise BadTensor(f"explanations support inputs with two dimensions, '{tensor.name}' has {len(tensor.shape)}")


def as_matrix(spec: ModelSpec, inputs: Mapping[str, Array]) -> Array:
    """[rows, features] of all inputs beside each other, in the model's order. Raises BadTensor."""
    require_explainable(spec)
    parts = [inputs[tensor.name] for tensor in spec.inputs]
    if len({len(part) for part in parts}) != 1:
        raise BadTensor("explanations need inputs with a row for each other's rows")
    matrix = np.hstack([part.reshape(len(part), -1).astype(np.float64) for part in parts])
    if matrix.shape[1] > MOST_FEATURES:
        raise BadTensor(f"explanations support {MOST_FEATURES} features, the request has {matrix.shape[1]}")
    return matrix


def widths_of(spec: ModelSpec, inputs: Mapping[str, Array]) -> tuple[int, ...]:
    """The number of columns of each input in the matrix."""
    return tuple(inputs[tensor.name].reshape(len(inputs[tensor.name]), -1).shape[1] for tensor in spec.inputs)


def as_inputs(spec: ModelSpec, widths: Sequence[int], matrix: Array) -> dict[str, Array]:
    """The tensors of a matrix, in the model's own datatypes."""
    found: dict[str, Array] = {}
    first = 0
    for tensor, width in zip(spec.inputs, widths, strict=True):
        part = matrix[:, first : first + width]
        first += width
        dtype = np.dtype(dtype_of(tensor.datatype))
        rounded = part if dtype.kind == "f" else np.rint(part)
        found[tensor.name] = rounded.astype(dtype).reshape((len(part), *((width,) if len(tensor.shape) == 2 else ())))
    return found


def explained_output(spec: ModelSpec, name: str = "") -> str:
    """The output that is explained: the one with this name, or the only one of floats. Raises BadTensor."""
    floats = [tensor.name for tensor in spec.outputs if tensor.datatype in FLOATS and len(tensor.shape) in (1, 2)]
    if name:
        if name not in floats:
            listed = ", ".join(floats) or "none"
            raise BadTensor(f"there is no output '{name}' of floats with one or two dimensions; the model has {listed}")
        return name
    if len(floats) != 1:
        listed = ", ".join(floats) or "none"
        raise BadTensor(f"explanations are of one output of floats, the model has {listed}: name it as explain.output")
    return floats[0]
