"""A request that a model could take, made of its metadata alone. Pure."""

from __future__ import annotations

import math

from plimsoll.runtime.specs import ModelSpec, TensorSpec

MOST_VALUES = 4096
"""Values of an example: one that nobody can read is none."""
_VALUES: dict[str, object] = {"BOOL": False, "BYTES": "text", "FP16": 0.5, "FP32": 0.5, "FP64": 0.5, "BF16": 0.5}


def example_request(spec: ModelSpec) -> dict[str, object] | None:
    """A request of the protocol for one row; None for a model whose inputs are too large to be written down."""
    shapes = [[max(1, size) for size in tensor.shape] for tensor in spec.inputs]
    if sum(map(math.prod, shapes)) > MOST_VALUES:
        return None
    return {"inputs": [_tensor(*each) for each in zip(spec.inputs, shapes, strict=True)]}


def example_records(spec: ModelSpec) -> list[dict[str, object]] | None:
    """A record as `plimsoll predict` reads it; None for a model whose inputs are no columns."""
    if spec.features and len(spec.inputs) == 1:
        return [{name: _VALUES.get(spec.inputs[0].datatype, 1) for name in spec.features}]
    if spec.inputs and all(all(size in (-1, 1) for size in tensor.shape[1:]) for tensor in spec.inputs):
        return [{tensor.name: _VALUES.get(tensor.datatype, 1) for tensor in spec.inputs}]
    return None


def _tensor(tensor: TensorSpec, shape: list[int]) -> dict[str, object]:
    data = [_VALUES.get(tensor.datatype, 1)] * math.prod(shape)
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": shape, "data": data}
