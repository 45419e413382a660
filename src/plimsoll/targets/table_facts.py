"""Rows, period and digest of the tables that a training was given, as far as they lie on this machine."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from plimsoll.errors import PlimsollError
from plimsoll.files import digest_of_file
from plimsoll.supply.group_figures import number
from plimsoll.supply.model_card import DataFacts, Period

MOST_BYTES = 256 << 20
"""Bytes of a file that is read for a card: a run waits for it."""
MOST_FILES = 50
SUFFIXES = (".csv", ".parquet")
LONGEST_CELL = 100


Moment = TypeVar("Moment", float, datetime)
_Ends = tuple[Moment, str, Moment, str]
"""The first and the last moment, each with the cell that has it."""


class _Found(Struct, frozen=True, kw_only=True):
    rows: int
    cells: tuple[str, str] | None = None
    note: str = ""


def facts_of(name: str, path: Path, column: str, check: Callable[[], None] = lambda: None) -> Iterator[DataFacts]:
    """What is known of an input of a training: of a table, or of each table in a directory.

    `column` is the one that says when a row is of; empty without one. `check` is called now and then and may raise.
    """
    if not path.is_dir():
        yield _of_file(name, path, column, check)
        return
    files = sorted(each for each in path.iterdir() if each.is_file() and each.suffix in SUFFIXES)
    for each in files[:MOST_FILES]:
        yield _of_file(f"{name}/{each.name}", each, column, check)
    if not files or len(files) > MOST_FILES:
        rest = (
            f"{len(files) - MOST_FILES} more tables are not listed" if files else "it has no table that can be counted"
        )
        yield DataFacts(name=name, note=rest)


def _of_file(name: str, path: Path, column: str, check: Callable[[], None]) -> DataFacts:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            return DataFacts(name=name, note=f"it has {size >> 20} MiB: more than {MOST_BYTES >> 20} are not counted")
        sha256 = digest_of_file(path).removeprefix("sha256:")
        if path.suffix not in SUFFIXES:
            return DataFacts(name=name, sha256=sha256, note="it is no table")
        found = _csv(path, column, check) if path.suffix == ".csv" else _parquet(path, column)
    except (OSError, csv.Error, PlimsollError) as error:
        return DataFacts(name=name, note=f"it cannot be read: {error}")
    period = Period(column=column, first=found.cells[0], last=found.cells[1]) if found.cells else None
    return DataFacts(name=name, sha256=sha256, rows=found.rows, period=period, note=found.note)


def _csv(path: Path, column: str, check: Callable[[], None]) -> _Found:
    """Raises OSError, csv.Error."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        lines = csv.reader(file)
        names = [name.strip() for name in next(lines, [])]
        place = names.index(column) if column in names else None
        rows, cells = 0, _Range()
        for line in lines:
            if not line:
                continue
            rows += 1
            if place is not None and len(line) > place:
                cells.take(line[place].strip()[:LONGEST_CELL])
            if not rows % 10_000:
                check()
    return _Found(rows=rows, cells=cells.ends(), note=_about(column, names, cells))


def _parquet(path: Path, column: str) -> _Found:
    """Raises OSError, PlimsollError."""
    try:
        # By name, and only for a table of Parquet: nothing else of a run brings it into this process.
        pyarrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise PlimsollError("tables of Parquet need plimsoll[parquet]") from None
    try:
        file = parquet.ParquetFile(path)
        names, rows, cells = file.schema_arrow.names, file.metadata.num_rows, _Range()
        if column in names:
            for batch in file.iter_batches(columns=[column]):
                cells.take_all(str(each) for each in batch.column(0).to_pylist() if each is not None)
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise PlimsollError(f"it is no table of Parquet: {str(error)[:200]}") from error
    return _Found(rows=rows, cells=cells.ends(), note=_about(column, names, cells))


class _Range:
    """The first and the last of some moments: numbers, or dates in the form of ISO 8601."""

    def __init__(self) -> None:
        self._numbers: _Ends[float] | None = None
        self._dates: _Ends[datetime] | None = None
        self.odd = ""

    def take_all(self, cells: Iterable[str]) -> None:
        for cell in cells:
            self.take(cell[:LONGEST_CELL])

    def take(self, cell: str) -> None:
        """Count one cell; an empty one is nothing."""
        if not cell or self.odd:
            return
        if (value := number(cell)) is not None:
            self._numbers = _wider(self._numbers, value, cell)
            return
        try:
            moment = datetime.fromisoformat(cell)
            self._dates = _wider(self._dates, moment.replace(tzinfo=None) - (moment.utcoffset() or timedelta()), cell)
        except (ValueError, OverflowError):
            self.odd = cell

    def ends(self) -> tuple[str, str] | None:
        """The first and the last; None where there are none, or some are neither dates nor numbers."""
        found = self._dates or self._numbers
        if found is None or self.odd or (self._dates and self._numbers):
            return None
        return found[1], found[3]


def _wider(ends: _Ends[Moment] | None, value: Moment, cell: str) -> _Ends[Moment]:
    if ends is None:
        return value, cell, value, cell
    first, first_cell, last, last_cell = ends
    if value < first:
        return value, cell, last, last_cell
    return (first, first_cell, value, cell) if value > last else ends


def _about(column: str, names: Sequence[str], cells: _Range) -> str:
    """Why there is no period, where one was asked for."""
    if not column or cells.ends() is not None:
        return ""
    if column not in names:
        return f"it has no column {column}"
    return (
        f"column {column} has {cells.odd!r}, which is neither a date nor a number"
        if cells.odd
        else (f"column {column} has both dates and numbers, or nothing")
    )
