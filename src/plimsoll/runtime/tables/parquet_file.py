"""A Parquet file."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plimsoll.errors import MissingExtra, PlimsollError
from plimsoll.runtime.conversion.arrow import arrow_contents
from plimsoll.runtime.conversion.texts import Contents
from plimsoll.runtime.tables.chunk import ArrowColumn, Chunk

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile as ArrowFile


class ParquetFile:
    """An open description of the file. `names` has the columns in order, `types` their types in Arrow."""

    def __init__(self, path: Path) -> None:
        """Read the schema. Raises PlimsollError for a file that is no table, MissingExtra without pyarrow."""
        self.path = path
        with self._open() as file:
            schema = file.schema_arrow
        self.names: list[str] = list(schema.names)
        self.types: dict[str, Any] = dict(zip(schema.names, schema.types, strict=True))  # Any: pyarrow has no types
        if len(self.types) != len(self.names):
            twice = sorted({name for name in self.names if self.names.count(name) > 1})
            message = f"the file has more than one column '{twice[0]}'"
            raise PlimsollError(message, where=str(path), hint="name each column once")

    @property
    def contents(self) -> dict[str, Contents]:
        """What a column is by its type."""
        return {name: arrow_contents(kind) for name, kind in self.types.items()}

    def chunks(self, rows: int, columns: Collection[str]) -> Iterator[Chunk]:
        """Yield all rows in order, at most `rows` at a time, with these columns. Raises PlimsollError."""
        wanted = [name for name in self.names if name in columns]
        start = 0
        with self._open() as file:
            for batch in file.iter_batches(batch_size=rows, columns=wanted):
                found = {name: _checked(batch.column(name)) for name in wanted}
                yield Chunk(first=start, start=start, rows=batch.num_rows, file=str(self.path), columns=found)
                start += batch.num_rows

    @contextlib.contextmanager
    def _open(self) -> Iterator[ArrowFile]:
        """The open file. Whatever pyarrow says of it inside of the block becomes a PlimsollError."""
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise MissingExtra("parquet", f"reading {self.path.name}") from None
        try:
            with pyarrow.parquet.ParquetFile(self.path) as file:
                yield file
        except (OSError, pyarrow.ArrowException, UnicodeDecodeError) as error:
            raise PlimsollError(f"cannot read the table: {error}", where=str(self.path)) from error


def _checked(column: ArrowColumn) -> ArrowColumn:
    """The column. Raises ArrowException for indices outside a dictionary: reading the file does not look at them."""
    from pyarrow import types

    if types.is_dictionary(column.type):
        column.validate(full=True)
    return column
