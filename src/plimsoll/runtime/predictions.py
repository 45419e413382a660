"""Convert a model's outputs to columns of a table, with class names for labels where the model has them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from plimsoll.runtime.specs import ModelSpec
from plimsoll.runtime.tensors import Array


def prediction_columns(outputs: Mapping[str, Array], spec: ModelSpec, rows: int) -> dict[str, Array]:
    """One column for each output with one value per row; one column per class or index for a wider output.

    An integer output that indexes classes also gives the column `label` with the class names.
    """
    columns: dict[str, Array] = {}
    for name, array in outputs.items():
        if array.shape[:1] != (rows,):
            # The output has no row dimension, so it cannot be a column.
            continue
        flat = array.reshape(rows, -1)
        if flat.shape[1] == 1:
            columns[name] = flat[:, 0]
            labels = _labels(flat[:, 0], spec.classes)
            if labels is not None and ("label" not in outputs or name == "label"):
                columns["label"] = labels
        else:
            suffixes = spec.classes if len(spec.classes) == flat.shape[1] else range(flat.shape[1])
            columns |= {f"{name}_{suffix}": flat[:, number] for number, suffix in enumerate(suffixes)}
    return columns


def _labels(values: Array, classes: tuple[str, ...]) -> Array | None:
    if not classes or values.dtype.kind not in "iu":
        return None
    if values.size and (int(values.min()) < 0 or int(values.max()) >= len(classes)):
        return None
    return np.array(classes, dtype=np.object_)[values]
