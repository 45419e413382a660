"""A table: one CSV or Parquet file, or a directory of parts as Spark, Dask and pandas write it."""

from __future__ import annotations

import urllib.parse
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from plimsoll.errors import PlimsollError
from plimsoll.runtime.conversion.texts import Cells, Contents, contents
from plimsoll.runtime.tables.chunk import Chunk, Column
from plimsoll.runtime.tables.csv_file import CsvFile
from plimsoll.runtime.tables.parquet_file import ParquetFile

FORMATS: dict[str, type[CsvFile] | type[ParquetFile]] = {".csv": CsvFile, ".parquet": ParquetFile}
SCAN_ROWS = 10_000
_NO_PARTITION = "__HIVE_DEFAULT_PARTITION__"
"""What Hive and Spark write for a missing value in the name of a folder."""


class Table:
    """`names` has the columns in order, `suffix` is `.csv` or `.parquet`.

    In a directory all parts have the same columns. A folder `key=value` gives its parts the column `key`, as text.
    Parts are read in the order of their paths; names that begin with `_` or `.` are no parts.
    """

    def __init__(self, path: Path, text: str | None = None) -> None:
        """Open a table; `text` is CSV that is in no file. Raises PlimsollError, MissingExtra without pyarrow."""
        self.path = path
        self.files = [path] if text is not None else _files_of(path)
        self.suffix = ".csv" if text is not None else self.files[0].suffix
        self._parts: list[CsvFile | ParquetFile] = (
            [CsvFile(path, text)] if text is not None else [FORMATS[self.suffix](file) for file in self.files]
        )
        self._folders = [_folder_values(path, file) for file in self.files]
        self.names = [*self._parts[0].names, *self._folders[0]]
        for part, folders in zip(self._parts, self._folders, strict=True):
            names = [*part.names, *folders]
            if set(names) != set(self.names) or len(names) != len(set(names)):
                message = f"this part has the columns {', '.join(names[:10])}"
                hint = f"all parts of a table need the columns of the first, once each: {', '.join(self.names[:10])}"
                raise PlimsollError(message, where=str(part.path), hint=hint)

    def chunks(self, rows: int, columns: Collection[str] | None = None) -> Iterator[Chunk]:
        """Yield all rows in order, at most `rows` at a time, with these columns or all. Raises PlimsollError."""
        wanted = set(self.names if columns is None else columns)
        first = 0
        for part, folders in zip(self._parts, self._folders, strict=True):
            for chunk in part.chunks(rows, wanted):
                constant: dict[str, Column] = {
                    key: (value,) * chunk.rows for key, value in folders.items() if key in wanted
                }
                yield Chunk(
                    first=first,
                    start=chunk.start,
                    rows=chunk.rows,
                    file=chunk.file,
                    columns={**chunk.columns, **constant},
                    lines=chunk.lines,
                )
                first += chunk.rows

    def arrow_type(self, name: str) -> Any | None:  # Any: pyarrow has no types
        """The type of a column in the first part; `None` for text of CSV and of names of folders."""
        part = self._parts[0]
        return part.types.get(name) if isinstance(part, ParquetFile) else None

    def contents(self) -> dict[str, Contents]:
        """What each column is, as numbers: by its type in Parquet, by all of its cells in CSV. Raises PlimsollError."""
        found: dict[str, Contents] = {}
        for part, folders in zip(self._parts, self._folders, strict=True):
            typed = part.contents
            _merge(found, typed)
            _merge(found, {key: contents((value,)) for key, value in folders.items()})
            if typed:
                continue
            undecided = {name for name in part.names if found.get(name) is not Contents.OTHER}
            for chunk in part.chunks(SCAN_ROWS, undecided):
                _merge(found, {name: contents(_texts(chunk.columns[name])) for name in undecided})
        return {name: found.get(name, Contents.BLANK) for name in self.names}


def _merge(found: dict[str, Contents], more: Mapping[str, Contents]) -> None:
    """Add what some rows of columns are to what other rows are."""
    for name, kind in more.items():
        known = found.get(name, Contents.BLANK)
        found[name] = known if kind is Contents.BLANK or known is Contents.OTHER else kind


def _texts(column: Column) -> tuple[str | None, ...]:
    return tuple(cast("Cells", column)) if isinstance(column, tuple | list) else ()


def _files_of(path: Path) -> list[Path]:
    if not path.is_dir():
        # A pipe would wait for somebody who writes, and it can be read once only.
        if path.suffix not in FORMATS or (path.exists() and not path.is_file()):
            raise PlimsollError("a table must be a .csv or .parquet file, or a directory of them", where=str(path))
        return [path]
    inside = sorted(file.relative_to(path) for file in path.rglob("*") if file.suffix in FORMATS and file.is_file())
    parts = [path / file for file in inside if not any(word.startswith(("_", ".")) for word in file.parts)]
    # Spark writes an empty file for a partition without rows.
    parts = [file for file in parts if file.stat().st_size]
    suffixes = sorted({file.suffix for file in parts})
    if len(suffixes) != 1:
        has = "both .csv and .parquet files" if suffixes else "no .csv and no .parquet files with content"
        raise PlimsollError(f"the directory has {has}, expected the parts of one table", where=str(path))
    return parts


def _folder_values(root: Path, file: Path) -> dict[str, str | None]:
    """The columns in the names of a part's folders, such as `year=2026`."""
    if file == root:
        return {}
    pairs = [folder.partition("=") for folder in file.relative_to(root).parent.parts if "=" in folder]
    return {
        urllib.parse.unquote(key): None if value == _NO_PARTITION else urllib.parse.unquote(value)
        for key, _, value in pairs
    }
