"""The columns of a model's outputs in a table, with class names for labels where the model has them."""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from msgspec import Struct

from plimsoll.errors import PlimsollError
from plimsoll.runtime.fixed_batch import fixed_batch
from plimsoll.runtime.specs import ModelSpec
from plimsoll.runtime.tensors import DTYPES, Array

LABEL = "label"


class OutputLayout(Struct, frozen=True, kw_only=True):
    """The columns of each output that has rows, by the output's name; and the output whose integers index `classes`."""

    columns: Mapping[str, tuple[str, ...]]
    classes: tuple[str, ...] = ()
    label_from: str | None = None

    @property
    def names(self) -> list[str]:
        """All columns in order."""
        names = [column for columns in self.columns.values() for column in columns]
        return names if self.label_from is None or LABEL in names else [*names, LABEL]

    def table(self, outputs: Mapping[str, Array], rows: int) -> dict[str, Array]:
        """The columns for `rows` rows. Raises PlimsollError for outputs of other shapes than those of the layout."""
        table: dict[str, Array] = {}
        for name, columns in self.columns.items():
            array = outputs[name]
            if array.shape[:1] != (rows,) or array.size != rows * len(columns):
                expected = f"{rows} rows of {len(columns)} values"
                raise PlimsollError(
                    f"output '{name}' of the model has the shape {list(array.shape)}, expected {expected}",
                    hint="a table needs the same columns in every row",
                )
            flat = array.reshape(rows, len(columns))
            table |= {column: flat[:, place] for place, column in enumerate(columns)}
            if name == self.label_from:
                table[LABEL] = _names_of(flat[:, 0], self.classes)
        return table


def prediction_columns(outputs: Mapping[str, Array], spec: ModelSpec, rows: int) -> dict[str, Array]:
    """One column for each output with one value per row; one column per class or index for a wider output.

    An integer output that indexes classes also gives the column `label` with the class names, `None` for others.
    """
    return output_layout(outputs, spec, rows_outputs(outputs, spec, rows)).table(outputs, rows)


def rows_outputs(outputs: Mapping[str, Array], spec: ModelSpec, rows: int) -> list[str]:
    """The outputs with a value for each row, as opposed to one for the whole request.

    An output that always has as many values as there happen to be rows could be either. It has no rows if others have.
    """
    declared = {tensor.name: tensor.shape[:1] for tensor in spec.outputs}
    found = [name for name, array in outputs.items() if array.shape[:1] == (rows,)]
    certain = [name for name in found if declared.get(name) != (rows,)]
    return certain or found


def declared_outputs(spec: ModelSpec) -> dict[str, Array]:
    """Two rows of zeros for each output that has rows, as the model declares it; 1 for open dimensions of a row."""
    return {
        tensor.name: np.broadcast_to(np.zeros((), DTYPES[tensor.datatype]), (2, *(max(1, n) for n in tensor.shape[1:])))
        for tensor in spec.outputs
        if tensor.datatype in DTYPES and tensor.shape[:1] in ((), (-1,), (fixed_batch(spec),))
    }


def output_layout(
    outputs: Mapping[str, Array], spec: ModelSpec, with_rows: Sequence[str], taken: tuple[str, ...] = ()
) -> OutputLayout:
    """Decide on the columns, from outputs of any rows. A column whose name is `taken` gets a longer one."""
    return _layout(spec, tuple((name, outputs[name].shape[1:], outputs[name].dtype.kind) for name in with_rows), taken)


# Cached, because a service that watches for drift asks for every group of its answers.
@functools.lru_cache(maxsize=64)
def _layout(
    spec: ModelSpec, outputs: tuple[tuple[str, tuple[int, ...], str], ...], taken: tuple[str, ...]
) -> OutputLayout:
    columns: dict[str, tuple[str, ...]] = {}
    used = set(taken)
    for name, inner, _ in outputs:
        columns[name] = tuple(_free(column, used) for column in _column_names(name, math.prod(inner), spec.classes))
    single = [name for name, _, kind in outputs if len(columns[name]) == 1 and kind in "iu"]
    label_from = _label_output(single, columns) if spec.classes else None
    return OutputLayout(columns=columns, classes=spec.classes, label_from=label_from)


def _column_names(name: str, width: int, classes: Sequence[str]) -> list[str]:
    if width == 1:
        return [name]
    return [f"{name}_{suffix}" for suffix in (classes if len(classes) == width else range(width))]


def _free(name: str, used: set[str]) -> str:
    while name in used:
        name += "_"
    used.add(name)
    return name


def _label_output(single: Sequence[str], outputs: Collection[str]) -> str | None:
    """The integer output that indexes the classes: the one whose name says so, else the last."""
    if LABEL in outputs:
        return LABEL if LABEL in single else None
    named = [name for name in single if LABEL in name.lower() or "class" in name.lower()]
    return next(reversed(named or single), None)


def _names_of(values: Array, classes: tuple[str, ...]) -> Array:
    if not values.size or (values.min() >= 0 and values.max() < len(classes)):
        return np.array(classes, dtype=np.object_)[values]
    inside = (values >= 0) & (values < len(classes))
    return np.array([*classes, None], dtype=np.object_)[np.where(inside, values, len(classes)).astype(np.int64)]
