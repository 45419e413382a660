"""Models that take a fixed number of rows: larger tables are given to them in runs of that many."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from plimsoll.runtime.specs import ModelSpec
from plimsoll.runtime.tensors import Array

Run = Callable[[Mapping[str, Array]], Mapping[str, Array]]
"""From inputs to outputs."""


def fixed_batch(spec: ModelSpec) -> int | None:
    """The number of rows that all inputs of the model are fixed at; `None` for a model that takes any number."""
    sizes = {tensor.shape[0] if tensor.shape else -1 for tensor in spec.inputs}
    (size, *others) = sizes or {-1}
    return None if others or size < 1 else size


def run_rows(run: Run, spec: ModelSpec, inputs: Mapping[str, Array], rows: int) -> Mapping[str, Array]:
    """The outputs for `rows` rows. The last run of a model with a fixed batch is filled up with its last row."""
    size = fixed_batch(spec)
    if size is None or rows == size or not rows:
        return run(inputs)
    runs = []
    for begin in range(0, rows, size):
        places = np.minimum(np.arange(begin, begin + size), rows - 1)
        runs.append(run({name: array[places] for name, array in inputs.items()}))
    return {
        name: np.concatenate([outputs[name] for outputs in runs])[:rows] if first.shape[:1] == (size,) else first
        for name, first in runs[0].items()
    }
