"""Some rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from plimsoll.runtime.conversion.json_cells import JsonCells
from plimsoll.runtime.conversion.texts import Cells


class ArrowColumn(Protocol):
    """A column of Parquet: an array of pyarrow."""

    type: Any  # Any: pyarrow has no types

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...

    def __iter__(self) -> Iterator[object]: ...

    def validate(self, *, full: bool) -> None:
        """Raise ArrowException for an invalid array."""
        ...

    def to_pylist(self) -> list[object]:
        """The values as Python objects."""
        ...


Column = Cells | JsonCells | ArrowColumn
"""A column of a table: texts of CSV, values of JSON, or an array of Parquet."""


class Chunk(Struct, frozen=True, kw_only=True):
    """`rows` rows of one file. `first` is the number of the first row in the table, `start` in `file`, from 0.

    All `columns` have one value for each row. `lines` has the line of each row, from 1; where it is empty, rows are
    numbered, and called by their `unit`.
    """

    first: int
    start: int
    rows: int
    file: str
    columns: Mapping[str, Column]
    lines: Sequence[int] = ()
    unit: str = "row"

    def place(self, index: int) -> str:
        """Where a row is, for a message."""
        return f"{self.file}:{self.lines[index]}" if self.lines else f"{self.file}, {self.unit} {self.start + index}"


def cell_value(values: Column, index: int) -> object:
    """One cell of a column as a Python object; bytes for text that is no UTF-8."""
    if isinstance(values, Sequence):
        return values[index]
    cell = values[index]
    try:
        return cell.as_py()
    except UnicodeDecodeError:
        return cell.as_buffer().to_pybytes()


def python_values(values: Column) -> Sequence[object]:
    """The cells of a column as Python objects; binary ones as text, with a mark for what is no UTF-8."""
    if isinstance(values, Sequence):
        return values
    try:
        cells = values.to_pylist()
    except UnicodeDecodeError:
        cells = [cell_value(values, index) for index in range(len(values))]
    return [cell.decode(errors="replace") if isinstance(cell, bytes) else cell for cell in cells]
