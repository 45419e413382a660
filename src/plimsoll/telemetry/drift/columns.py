"""A model's tensors as columns of a table, on both sides of the model. Pure.

A tensor of one value a row is a column; one of two dimensions a column for each feature, with the model's own names for
them. What is wider than `WIDEST` (images, embeddings) is looked at through each row's mean and spread.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from plimsoll.runtime.predictions import columns_of
from plimsoll.runtime.specs import ModelSpec
from plimsoll.runtime.tensors import Array

WIDEST = 1024
"""Values of a row that are looked at one by one."""


def input_columns(inputs: Mapping[str, Array], spec: ModelSpec) -> dict[str, Array]:
    """Columns by name, each with one value a row."""
    columns: dict[str, Array] = {}
    for name, array in inputs.items():
        if array.ndim == 0:
            continue
        flat = array.reshape(len(array), -1)
        width = flat.shape[1]
        if width == 1 and not (spec.features and len(spec.inputs) == 1):
            columns[name] = flat[:, 0]
        elif len(spec.inputs) == 1 and len(spec.features) == width:
            columns |= {feature: flat[:, place] for place, feature in enumerate(spec.features)}
        elif width <= WIDEST:
            columns |= {f"{name}[{place}]": flat[:, place] for place in range(width)}
        else:
            columns |= _narrowed(name, flat)
    return columns


def output_columns(outputs: Mapping[str, Array], spec: ModelSpec) -> dict[str, Array]:
    """Columns by name: labels as words where the model has them, numbers otherwise."""
    sizes = [len(array) for array in outputs.values() if array.ndim]
    if not sizes:
        return {}
    narrow: dict[str, Array] = {}
    columns: dict[str, Array] = {}
    for name, array in outputs.items():
        if array.ndim and array.size > WIDEST * len(array):
            columns |= _narrowed(name, array.reshape(len(array), -1))
        else:
            narrow[name] = array
    columns |= columns_of(narrow, spec, sizes[0])
    # The number of a label says what its word says.
    hidden = {name for name, array in outputs.items() if "label" in columns and array.dtype.kind in "iu"}
    return {name: column for name, column in columns.items() if name not in hidden or name == "label"}


def _narrowed(name: str, flat: Array) -> dict[str, Array]:
    if flat.dtype.kind not in "fiub":
        return {}
    wide = flat.astype(np.float32, copy=False)
    return {f"{name}.mean": wide.mean(axis=1), f"{name}.spread": wide.std(axis=1)}
