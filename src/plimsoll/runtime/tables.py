"""Convert CSV and Parquet tables to a model's inputs, one chunk of rows at a time, in bounded memory.

The first rule that applies decides the inputs:

1. The model lists `features` and has one input with two dimensions: the input has these columns in that order.
2. Each input of the model has the name of a column.
3. The model has one input with two dimensions, as wide as the number of numeric columns: these, in the file's order.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from msgspec import Struct

from plimsoll.errors import MissingExtra, PlimsollError
from plimsoll.runtime.specs import ModelSpec, TensorSpec
from plimsoll.runtime.tensors import DTYPES, Array

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile


class ArrowColumn(Protocol):
    """A column of Parquet: an array of pyarrow."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[object]: ...

    def to_pylist(self) -> list[object]:
        """The values as Python objects."""
        ...

    def to_numpy(self, *, zero_copy_only: bool) -> Array:
        """The values as a numpy array."""
        ...


Column = Sequence[str] | ArrowColumn
"""A column of a table: texts of CSV, or an array of Parquet."""


class Chunk(Struct, frozen=True, kw_only=True):
    """Some rows of a table. `first` is the number of the first row, from 0. All `columns` have the same length."""

    first: int
    columns: Mapping[str, Column]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(next(iter(self.columns.values()), ()))


class Table:
    """A CSV or Parquet file. `names` has the columns in order."""

    def __init__(self, path: Path) -> None:
        """Open a table. Raises PlimsollError for an invalid table, MissingExtra without pyarrow for Parquet."""
        self.path = path
        self._is_parquet = path.suffix == ".parquet"
        if path.suffix not in {".csv", ".parquet"}:
            raise PlimsollError("a table must be a .csv or .parquet file", where=str(path))
        self.names = self._parquet_names() if self._is_parquet else self._csv_names()

    def chunks(self, rows: int, skip: int = 0) -> Iterator[Chunk]:
        """Yield all rows in order, at most `rows` at a time, except chunks before row `skip`."""
        for chunk in self._parquet_chunks(rows) if self._is_parquet else self._csv_chunks(rows):
            if chunk.first >= skip:
                yield chunk

    def _csv_names(self) -> list[str]:
        try:
            with self.path.open(newline="", encoding="utf-8-sig") as file:
                names = next(csv.reader(file), [])
        except OSError as error:
            raise PlimsollError(f"cannot read the table: {error.strerror}", where=str(self.path)) from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise PlimsollError(f"the file is not CSV in UTF-8: {error}", where=str(self.path)) from error
        if not names or len(set(names)) != len(names):
            raise PlimsollError("the first line must name the columns, each once", where=f"{self.path}:1")
        return names

    def _csv_chunks(self, rows: int) -> Iterator[Chunk]:
        with self.path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            next(reader)
            first, collected = 0, []
            try:
                for cells in reader:
                    if len(cells) != len(self.names):
                        message = f"this row has {len(cells)} cells, expected {len(self.names)}"
                        raise PlimsollError(message, where=f"{self.path}:{reader.line_num}")
                    collected.append(cells)
                    if len(collected) == rows:
                        yield self._csv_chunk(first, collected)
                        first, collected = first + rows, []
            except (UnicodeDecodeError, csv.Error) as error:
                raise PlimsollError(
                    f"the file is not CSV in UTF-8: {error}", where=f"{self.path}:{reader.line_num}"
                ) from error
            if collected:
                yield self._csv_chunk(first, collected)

    def _csv_chunk(self, first: int, collected: list[list[str]]) -> Chunk:
        return Chunk(first=first, columns=dict(zip(self.names, zip(*collected, strict=True), strict=True)))

    def _parquet_names(self) -> list[str]:
        with _open_parquet(self.path) as file:
            return list(file.schema_arrow.names)

    def _parquet_chunks(self, rows: int) -> Iterator[Chunk]:
        first = 0
        with _open_parquet(self.path) as file:
            for batch in file.iter_batches(batch_size=rows):
                columns = {name: batch.column(number) for number, name in enumerate(self.names)}
                yield Chunk(first=first, columns=columns)
                first += batch.num_rows


def _open_parquet(path: Path) -> ParquetFile:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("parquet", f"reading {path.name}") from None
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise PlimsollError(f"cannot read the table: {error}", where=str(path)) from error


def model_inputs(chunk: Chunk, spec: ModelSpec, path: Path) -> dict[str, Array]:
    """Convert rows to the model's inputs. Raises PlimsollError that names a missing column or an invalid cell."""
    matrix = spec.inputs[0] if len(spec.inputs) == 1 and len(spec.inputs[0].shape) == 2 else None
    if matrix and spec.features:
        _require_columns(chunk, spec.features, spec, path)
        return {matrix.name: _matrix(chunk, spec.features, matrix, path)}
    if all(tensor.name in chunk.columns for tensor in spec.inputs):
        return {tensor.name: _input_column(chunk, tensor, path) for tensor in spec.inputs}
    numeric = [name for name in chunk.columns if _is_numeric(chunk.columns[name])]
    if matrix and matrix.shape[1] == len(numeric):
        return {matrix.name: _matrix(chunk, numeric, matrix, path)}
    _require_columns(chunk, [tensor.name for tensor in spec.inputs], spec, path)
    raise PlimsollError("the columns of the table do not match the inputs of the model", where=str(path))


def _require_columns(chunk: Chunk, names: Sequence[str], spec: ModelSpec, path: Path) -> None:
    missing = [name for name in names if name not in chunk.columns]
    if missing:
        shown = ", ".join(missing[:10]) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
        raise PlimsollError(
            f"the table lacks the columns {shown}",
            where=str(path),
            hint=f"model {spec.name} takes {len(names)} columns; the table has {', '.join(list(chunk.columns)[:10])}",
        )


def _matrix(chunk: Chunk, names: Sequence[str], tensor: TensorSpec, path: Path) -> Array:
    matrix = np.empty((chunk.rows, len(names)), dtype=DTYPES[tensor.datatype])
    for number, name in enumerate(names):
        matrix[:, number] = _column(chunk, name, tensor, path)
    return matrix


def _input_column(chunk: Chunk, tensor: TensorSpec, path: Path) -> Array:
    column = _column(chunk, tensor.name, tensor, path)
    return column.reshape(-1, 1) if len(tensor.shape) == 2 else column


def _column(chunk: Chunk, name: str, tensor: TensorSpec, path: Path) -> Array:
    values = chunk.columns[name]
    dtype = np.dtype(DTYPES[tensor.datatype])
    if dtype.kind == "O":
        return np.array([str(value) for value in python_values(values)], dtype=np.object_)
    try:
        array = _numbers(values)
        finite = array.dtype.kind != "f" or bool(np.isfinite(array).all())
        if finite and (dtype.kind == "f" or np.array_equal(array, array.astype(dtype))):
            return array.astype(dtype)
    except (ValueError, TypeError):
        pass
    raise _bad_cell(chunk, name, tensor, path)


def _numbers(values: Column) -> Array:
    """Convert cells to numbers. Raises ValueError or TypeError when one is not a number."""
    array = (
        np.array(values, dtype=np.float64) if isinstance(values, Sequence) else values.to_numpy(zero_copy_only=False)
    )
    return array if array.dtype.kind in "fiub" else array.astype(np.float64)


def _bad_cell(chunk: Chunk, name: str, tensor: TensorSpec, path: Path) -> PlimsollError:
    """The error for the first cell of a column that the model cannot take."""
    for number, value in enumerate(python_values(chunk.columns[name])):
        try:
            cell = float(value)  # type: ignore[arg-type]  # a TypeError is the answer
            good = np.isfinite(cell) and (tensor.datatype.startswith("FP") or cell.is_integer())
        except (TypeError, ValueError):
            good = False
        if not good:
            row = chunk.first + number
            line = f"{path}:{row + 2}" if path.suffix == ".csv" else f"{path}, row {row}"
            return PlimsollError(f"column '{name}' is {value!r} here, the model expects {tensor.datatype}", where=line)
    return PlimsollError(f"column '{name}' has values outside the range of {tensor.datatype}", where=str(path))


def _is_numeric(values: Column) -> bool:
    try:
        np.array(python_values(values), dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return True


def python_values(values: Column) -> Sequence[object]:
    """The cells of a column as Python objects."""
    return values if isinstance(values, Sequence) else values.to_pylist()
