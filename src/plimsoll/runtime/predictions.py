"""A model's outputs as columns of a table, with words for labels where the model has them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from plimsoll.runtime.specs import ModelSpec
from plimsoll.runtime.tensors import Array


def columns_of(outputs: Mapping[str, Array], spec: ModelSpec, rows: int) -> dict[str, Array]:
    """One column for each output of one value a row; for a wider one a column for each class or number.

    A whole number that counts classes also gives the column `label` with the class's word.
    """
    columns: dict[str, Array] = {}
    for name, array in outputs.items():
        if array.shape[:1] != (rows,):
            # Not one value a row: it says something of the whole and has no place in a table.
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
