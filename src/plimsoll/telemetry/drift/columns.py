"""Convert the input and output tensors of a model to columns of a table. Pure.

A tensor with one value per row is one column. A tensor with two dimensions is one column per feature, with the model's
names. Wider tensors than `MAX_WIDTH` (images, embeddings) become the mean and the spread of each row.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from plimsoll.runtime.predictions import prediction_columns
from plimsoll.runtime.specs import ModelSpec
from plimsoll.runtime.tensors import Array

MAX_WIDTH = 1024
"""Most values of a row that each become a column."""


def input_columns(inputs: Mapping[str, Array], spec: ModelSpec) -> dict[str, Array]:
    """Columns of the inputs by name, each with one value per row."""
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
        elif width <= MAX_WIDTH:
            columns |= {f"{name}[{place}]": flat[:, place] for place in range(width)}
        else:
            columns |= _row_summaries(name, flat)
    return columns


def output_columns(outputs: Mapping[str, Array], spec: ModelSpec) -> dict[str, Array]:
    """Columns of the outputs by name: class names for labels where the model has them, else numbers."""
    sizes = [len(array) for array in outputs.values() if array.ndim]
    if not sizes:
        return {}
    narrow: dict[str, Array] = {}
    columns: dict[str, Array] = {}
    for name, array in outputs.items():
        if array.ndim and array.size > MAX_WIDTH * len(array):
            columns |= _row_summaries(name, array.reshape(len(array), -1))
        else:
            narrow[name] = array
    columns |= prediction_columns(narrow, spec, sizes[0])
    # The index of a label repeats its class name.
    repeated = {name for name, array in outputs.items() if "label" in columns and array.dtype.kind in "iu"}
    return {name: column for name, column in columns.items() if name not in repeated or name == "label"}


def prediction_column(outputs: Mapping[str, Array]) -> Array | None:
    """The column to compare labels with: `label` if it exists, else the only column."""
    if "label" in outputs:
        return outputs["label"]
    return next(iter(outputs.values())) if len(outputs) == 1 else None


def _row_summaries(name: str, flat: Array) -> dict[str, Array]:
    if flat.dtype.kind not in "fiub":
        return {}
    wide = flat.astype(np.float32, copy=False)
    return {f"{name}.mean": wide.mean(axis=1), f"{name}.spread": wide.std(axis=1)}
