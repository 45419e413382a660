"""The columns of a table for each input of a model, decided once for the whole table.

The first rule that applies decides:

1. The model lists `features` and has one input with two dimensions: the input has these columns in that order.
2. Each input of the model takes one value per row, and has the name of a column.
3. The model has one input with two dimensions, as wide as the number of numeric columns: these, in the file's order. A
   column is numeric when all of its cells are numbers or missing. Columns without any value count if it takes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
from msgspec import Struct

from plimsoll.errors import PlimsollError
from plimsoll.runtime.conversion.arrow import from_arrow
from plimsoll.runtime.conversion.cells import BadCell, WrongType
from plimsoll.runtime.conversion.json_cells import JsonCells, from_json_cells
from plimsoll.runtime.conversion.texts import Cells, Contents, from_texts
from plimsoll.runtime.specs import ModelSpec, TensorSpec
from plimsoll.runtime.tables.chunk import Chunk, Column, cell_value
from plimsoll.runtime.tables.records import RecordTable
from plimsoll.runtime.tables.table import Table
from plimsoll.runtime.tensors import Array, BadTensor, dtype_of

AnyTable = Table | RecordTable
MOST_SHOWN = 80
"""Characters of a cell in a message."""


class InputLayout(Struct, frozen=True, kw_only=True):
    """`columns` are those of each input, by the input's name."""

    inputs: tuple[TensorSpec, ...]
    columns: Mapping[str, tuple[str, ...]]

    @property
    def names(self) -> frozenset[str]:
        """All columns that the model takes."""
        return frozenset(name for names in self.columns.values() for name in names)

    def tensors(self, chunk: Chunk) -> dict[str, Array]:
        """Convert rows to the model's inputs. Raises PlimsollError that names the cell without a conversion."""
        return {tensor.name: _tensor(chunk, self.columns[tensor.name], tensor) for tensor in self.inputs}


def input_layout(table: AnyTable, spec: ModelSpec) -> InputLayout:
    """Decide on the columns. Raises PlimsollError for a missing column, or the reason why no rule applies."""
    for tensor in spec.inputs:
        _require_datatype(tensor, table)
    layout = InputLayout(inputs=spec.inputs, columns=_columns(table, spec))
    _require_types(layout, table)
    return layout


def _columns(table: AnyTable, spec: ModelSpec) -> dict[str, tuple[str, ...]]:
    matrix = spec.inputs[0] if len(spec.inputs) == 1 and len(spec.inputs[0].shape) == 2 else None
    if matrix and spec.features:
        _require_columns(table, spec.features, spec)
        return {matrix.name: spec.features}
    if all(tensor.name in table.names and _takes_one_value(tensor) for tensor in spec.inputs):
        return {tensor.name: (tensor.name,) for tensor in spec.inputs}
    if matrix is None:
        _require_columns(table, [tensor.name for tensor in spec.inputs], spec)
        raise PlimsollError("the columns of the table do not match the inputs of the model", where=str(table.path))
    contents = table.contents()
    with_blank = tuple(name for name, kind in contents.items() if kind is not Contents.OTHER)
    numeric = tuple(name for name in with_blank if contents[name] is Contents.NUMBERS)
    for names in (numeric, with_blank):
        if matrix.shape[1] == len(names):
            return {matrix.name: names}
    message = f"the table has {len(numeric)} numeric columns, input '{matrix.name}' takes {matrix.shape[1]}"
    hint = f"numeric are {_listed(numeric)}" if numeric else "a column is numeric when all of its cells are numbers"
    raise PlimsollError(message, where=str(table.path), hint=hint + "; the model's `features` can name its columns")


def _takes_one_value(tensor: TensorSpec) -> bool:
    return all(size in (-1, 1) for size in tensor.shape[1:])


def _require_datatype(tensor: TensorSpec, table: AnyTable) -> None:
    try:
        dtype_of(tensor.datatype)
    except BadTensor as error:
        raise PlimsollError(f"input '{tensor.name}' of the model: {error}", where=str(table.path)) from error


def _require_columns(table: AnyTable, names: Sequence[str], spec: ModelSpec) -> None:
    missing = [name for name in names if name not in table.names]
    if missing:
        raise PlimsollError(
            f"the table lacks the columns {_listed(missing)}",
            where=str(table.path),
            hint=f"model {spec.name} takes {_listed(names)}; the table has {_listed(table.names)}",
        )


def _require_types(layout: InputLayout, table: AnyTable) -> None:
    """Raise for types of Parquet without a conversion, also when the table has no rows."""
    columns: dict[str, Column] = {}
    for name in layout.names:
        kind = table.arrow_type(name)
        if kind is None:
            columns[name] = ()
        else:
            import pyarrow

            columns[name] = pyarrow.array([], kind)
    layout.tensors(Chunk(first=0, start=0, rows=0, file=str(table.files[0]), columns=columns))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _tensor(chunk: Chunk, names: Sequence[str], tensor: TensorSpec) -> Array:
    dtype = np.dtype(dtype_of(tensor.datatype))
    if len(names) == 1:
        column = _column(chunk, names[0], tensor.datatype, dtype)
        return column.reshape(chunk.rows, *[1] * (len(tensor.shape) - 1))
    matrix = np.empty((chunk.rows, len(names)), dtype=dtype)
    for number, name in enumerate(names):
        matrix[:, number] = _column(chunk, name, tensor.datatype, dtype)
    return matrix


def _column(chunk: Chunk, name: str, datatype: str, dtype: np.dtype[np.generic]) -> Array:
    values = chunk.columns[name]
    try:
        if isinstance(values, JsonCells):
            return from_json_cells(values, datatype, dtype)
        if isinstance(values, Sequence):
            return from_texts(cast("Cells", values), datatype, dtype)
        return from_arrow(values, datatype, dtype)
    except WrongType as error:
        hint = "write it in a type that fits, for example dates as a number in a unit of your choice"
        raise PlimsollError(f"column '{name}' {error}", where=chunk.file, hint=hint) from error
    except BadCell as error:
        shown = _shown(cell_value(values, error.index))
        raise PlimsollError(
            f"column '{name}' is {shown} here, {error.problem}", where=chunk.place(error.index)
        ) from error


def _shown(value: object) -> str:
    # A float is missing when it is not equal to itself.
    if value is None or value == "" or value != value:  # noqa: PLR0124
        return "missing"
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"
