"""The files of a batch that is under way: a part for each finished chunk, then all of them as one table."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from plimsoll.errors import PlimsollError
from plimsoll.runtime.own_code import digest_of_scorer
from plimsoll.runtime.tables.chunk import ArrowColumn, Column
from plimsoll.runtime.tables.table import Table
from plimsoll.runtime.tensors import Array

Cells = range | Column | Array
Schema = Mapping[str, Any]
"""The type of each column (`Any`: PyArrow is imported where it is used)."""


class ScoredParts:
    """The parts of one model and table, in a directory. `suffix` is their format."""

    def __init__(self, checkpoint: Path, model: str, table: Table, chunk_rows: int, labels: str = "") -> None:
        """Create the directory. Removes parts of another model (its digest), table, chunk size, scorer or labels."""
        self.suffix = table.suffix
        self._directory = checkpoint / "parts"
        mark, about = checkpoint / "parts-of", f"{_identity(model, table, chunk_rows)} {labels}".rstrip()
        if not (mark.exists() and mark.read_text(encoding="utf-8") == about):
            shutil.rmtree(self._directory, ignore_errors=True)
            checkpoint.mkdir(parents=True, exist_ok=True)
            temporary = mark.with_name(f".{mark.name}")
            temporary.write_text(about, encoding="utf-8")
            temporary.replace(mark)
        self._directory.mkdir(exist_ok=True)

    def has(self, number: int) -> bool:
        """Whether a chunk is finished."""
        return self._path(number).exists()

    def write(self, number: int, columns: Mapping[str, Cells], schema: Schema) -> None:
        """Write a chunk: the part is there as a whole, or not at all. `schema` has the type of each column in Arrow."""
        path = self._path(number)
        temporary = path.with_name(f".{path.name}")
        if self.suffix == ".parquet":
            _write_parquet(temporary, columns, schema)
        else:
            with temporary.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(zip(*(shortest_text(values) for values in columns.values()), strict=True))
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)

    def join(self, final: Path, schema: Schema) -> None:
        """Concatenate all parts, with one part in memory at a time."""
        temporary = final.with_name(f".{final.name}")
        parts = sorted(self._directory.glob(f"part-*{self.suffix}"))
        if self.suffix == ".parquet":
            _join_parquet(parts, temporary, schema)
        else:
            with temporary.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerow(schema)
            with temporary.open("ab") as file:
                for part in parts:
                    with part.open("rb") as source:
                        shutil.copyfileobj(source, file)
        temporary.replace(final)

    def write_labelled(self, number: int, pairs: Iterable[tuple[str, str]]) -> None:
        """Keep label and prediction of the rows of a chunk; before the chunk itself, which says that it is finished."""
        path = self._directory / f"labelled-{number:08d}.csv"
        temporary = path.with_name(f".{path.name}")
        with temporary.open("w", newline="", encoding="utf-8", errors="replace") as file:
            csv.writer(file).writerows(pairs)
        temporary.replace(path)

    def join_labelled(self, final: Path, header: Sequence[str]) -> None:
        """Concatenate labels and predictions of all chunks."""
        temporary = final.with_name(f".{final.name}")
        with temporary.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(header)
        with temporary.open("ab") as file:
            for part in sorted(self._directory.glob("labelled-*.csv")):
                with part.open("rb") as source:
                    shutil.copyfileobj(source, file)
        temporary.replace(final)

    def _path(self, number: int) -> Path:
        return self._directory / f"part-{number:08d}{self.suffix}"


def arrow_schema(table: Table, sample: Mapping[str, Array], *, with_id: bool) -> Schema:
    """The columns of the result in order, with their types in Arrow; without types for CSV."""
    names = ["row", *(["id"] if with_id else []), *sample]
    if table.suffix != ".parquet":
        return dict.fromkeys(names)
    import pyarrow

    types = {"row": pyarrow.int64(), "id": table.arrow_type("id") or pyarrow.string()}
    for name, array in sample.items():
        types[name] = pyarrow.string() if array.dtype.kind == "O" else pyarrow.from_numpy_dtype(array.dtype)
    return {name: types[name] for name in names}


def _identity(model: str, table: Table, chunk_rows: int) -> str:
    stats = [(str(file.relative_to(table.path)), file.stat()) for file in table.files]
    files = " ".join(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats)
    return f"{digest_of_scorer()} {model} {table.path} {files} {chunk_rows}"


def _write_parquet(path: Path, columns: Mapping[str, Cells], schema: Schema) -> None:
    import pyarrow
    import pyarrow.parquet

    try:
        arrays = {name: _arrow_array(values, schema[name]) for name, values in columns.items()}
    except pyarrow.ArrowException as error:
        message = f"a part of the table has a column of another type than the first part: {error}"
        raise PlimsollError(message, where=str(path)) from error
    pyarrow.parquet.write_table(pyarrow.table(arrays, schema=pyarrow.schema(schema.items())), path)


def _arrow_array(values: Cells, kind: object) -> ArrowColumn:
    import pyarrow

    array: ArrowColumn
    if isinstance(values, pyarrow.Array):
        array = values if values.type == kind else values.cast(kind)
    else:
        array = pyarrow.array(list(values) if isinstance(values, range) else values, kind)
    return array


def shortest_text(values: Cells) -> Iterable[object]:
    """The shortest text that parses to the same number: float32 must not be written with the digits of float64."""
    is_float = isinstance(values, np.ndarray) and values.dtype.kind == "f"
    return np.asarray(values).astype(str) if is_float else values


def _join_parquet(parts: Sequence[Path], final: Path, schema: Schema) -> None:
    import pyarrow
    import pyarrow.parquet

    with pyarrow.parquet.ParquetWriter(final, pyarrow.schema(schema.items())) as writer:
        for part in parts:
            writer.write_table(pyarrow.parquet.read_table(part))
