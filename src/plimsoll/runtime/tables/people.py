"""Rows of one person in Parquet files: counted, and left out of a copy. Others keep types and order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from plimsoll.errors import MissingExtra, PlimsollError

Matches = Callable[[object], bool]
_ROWS = 1 << 16


def count_rows(path: Path, columns: Collection[str], matches: Matches, in_texts: Callable[[str], bool]) -> int:
    """Rows with the id in one of the columns, or in a text of any other. Raises PlimsollError, MissingExtra."""
    return sum(sum(found) for _, found in _batches(path, columns, matches, in_texts))


def names_of(path: Path) -> list[str]:
    """The columns of a file; none of a file that cannot be read, which is told where it is searched."""
    arrow, parquet = _pyarrow(path)
    try:
        return list(parquet.read_schema(path).names)
    except (OSError, arrow.ArrowException):
        return []


def rows_with(path: Path, columns: Collection[str], matches: Matches) -> list[dict[str, object]]:
    """The rows with the id, with all of their columns. Raises PlimsollError, MissingExtra."""
    arrow, _ = _pyarrow(path)
    rows: list[dict[str, object]] = []
    for batch, found in _batches(path, columns, matches, lambda _: False):
        rows += batch.filter(arrow.array(found, arrow.bool_())).to_pylist()
    return rows


def copy_without(path: Path, copy: Path, columns: Collection[str], matches: Matches) -> int:
    """Write a file without the rows of the person; returns how many were left out. Raises as `count_rows` does."""
    arrow, parquet = _pyarrow(path)
    removed = 0
    try:
        with parquet.ParquetFile(path) as file:
            metadata = file.metadata
            codec = metadata.row_group(0).column(0).compression if metadata.num_row_groups else "SNAPPY"
            codec = "NONE" if codec == "UNCOMPRESSED" else codec
            with parquet.ParquetWriter(copy, file.schema_arrow, compression=codec) as writer:
                for batch, found in _batches(path, columns, matches, lambda _: False):
                    removed += sum(found)
                    kept = batch.filter(arrow.array([not each for each in found], arrow.bool_()))
                    if kept.num_rows:
                        writer.write_batch(kept)
    except (OSError, arrow.ArrowException) as error:
        raise PlimsollError(f"cannot write the table without rows: {error}", where=str(path)) from error
    return removed


def _batches(
    path: Path, columns: Collection[str], matches: Matches, in_texts: Callable[[str], bool]
) -> Iterator[tuple[Any, list[bool]]]:  # Any: pyarrow has no types
    arrow, parquet = _pyarrow(path)
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_ROWS):
                yield batch, _found(arrow, batch, columns, matches, in_texts)
    except (OSError, arrow.ArrowException, UnicodeDecodeError) as error:
        raise PlimsollError(f"cannot read the table: {error}", where=str(path)) from error


def _found(
    arrow: Any, batch: Any, columns: Collection[str], matches: Matches, in_texts: Callable[[str], bool]
) -> list[bool]:  # Any: pyarrow has no types
    rows = [False] * batch.num_rows
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        test: Callable[[object], bool]
        if name in columns:
            test = matches
        elif arrow.types.is_string(column.type) or arrow.types.is_large_string(column.type):
            test = lambda value: isinstance(value, str) and in_texts(value)  # noqa: E731
        else:
            continue
        # A table has many rows of few people: each value is looked at once.
        values = column.dictionary_decode() if arrow.types.is_dictionary(column.type) else column
        wanted = {value for value in set(values.to_pylist()) if value is not None and test(value)}
        if wanted:
            rows = [known or value in wanted for known, value in zip(rows, values.to_pylist(), strict=True)]
    return rows


def _pyarrow(path: Path) -> tuple[Any, Any]:  # Any: pyarrow has no types
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("parquet", f"reading {path.name}") from None
    return pyarrow, pyarrow.parquet
