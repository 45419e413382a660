"""Rows of a table within bounds: numbers as arrays, everything else as texts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct

from plimsoll.errors import PlimsollError
from plimsoll.runtime.conversion.cells import BadCell
from plimsoll.runtime.conversion.texts import MISSING, Contents, from_texts
from plimsoll.runtime.tables.chunk import Column, python_values
from plimsoll.runtime.tables.table import Table
from plimsoll.runtime.tensors import Array

CHUNK = 5_000
MOST_COLUMNS = 4_000
MOST_CELLS = 100_000_000
MOST_TEXT = 512 << 20
"""Characters of all cells with texts that are kept at once."""
LONGEST_TEXT = 10_000
"""Characters of one cell that are looked at."""
SPLITS = ("part", "split")
HELD_OUT = frozenset({"test", "validation", "valid", "holdout", "held_out", "eval"})
"""The columns that say which rows are held out, and what they say of those, as for the reference of drift."""


class Rows(Struct, frozen=True, kw_only=True):
    """Some rows of a table by column; `numbers` has the number of each row, from 1.

    `columns` are arrays of floats, with NaN for what is missing, or of objects: texts, and None for what is missing.
    `total` is how many rows the table has.
    """

    columns: Mapping[str, Array]
    numbers: Array
    total: int

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, some: Array) -> Rows:
        """Rows by position, or by a mask."""
        columns = {name: column[some] for name, column in self.columns.items()}
        return Rows(columns=columns, numbers=self.numbers[some], total=self.total)


def read_rows(path: Path, most: int) -> Rows:
    """Read at most `most` rows, evenly spread. Raises PlimsollError for what is no table, or more than memory holds."""
    table = Table(path)
    if len(table.names) > MOST_COLUMNS:
        text = f"the table has {len(table.names)} columns, and at most {MOST_COLUMNS} are screened"
        raise PlimsollError(text, where=str(path), hint="screen a table of what the training reads")
    if len(set(table.names)) != len(table.names):
        raise PlimsollError("two columns of the table have the same name", where=str(path), hint="rename one of them")
    total = sum(chunk.rows for chunk in table.chunks(CHUNK, ()))
    most = min(most, MOST_CELLS // max(1, len(table.names)))
    every = max(1, -(-total // most))
    numeric = {name for name, kind in table.contents().items() if kind is not Contents.OTHER}
    parts: dict[str, list[Array]] = {name: [] for name in table.names}
    numbers: list[Array] = []
    characters = 0
    for chunk in table.chunks(CHUNK):
        some = slice(-chunk.first % every, None, every)
        numbers.append(np.arange(chunk.first + 1, chunk.first + chunk.rows + 1)[some])
        for name in table.names:
            found = _column(chunk.columns[name], some, numeric=name in numeric)
            characters += sum(map(len, filter(None, found.tolist()))) if found.dtype.kind == "O" else 0
            parts[name].append(found)
        if characters > MOST_TEXT:
            text = f"the texts of the table have more than {MOST_TEXT >> 20} MiB"
            raise PlimsollError(text, where=str(path), hint="look at fewer rows: set `rows`")
    return Rows(
        columns={name: _joined(found) for name, found in parts.items()},
        numbers=np.concatenate(numbers) if numbers else np.zeros(0, dtype=np.int64),
        total=total,
    )


def held_out_in(rows: Rows) -> tuple[str, Array] | None:
    """The column that says which rows are held out, and which are; None where no column does."""
    for name in SPLITS:
        column = rows.columns.get(name)
        if column is not None and column.dtype.kind == "O":
            mask = np.array([str(value).casefold() in HELD_OUT for value in column.tolist()], dtype=bool)
            if mask.any() and not mask.all():
                return name, mask
    return None


def _joined(parts: Sequence[Array]) -> Array:
    """One column; as texts when some of its parts are."""
    if any(part.dtype.kind == "O" for part in parts):
        parts = [part if part.dtype.kind == "O" else as_texts(part) for part in parts]
    return np.concatenate(parts) if parts else np.zeros(0)


def as_texts(numbers: Array) -> Array:
    """Numbers as people write them, and None for what is missing."""
    return _objects([None if value != value else f"{value:.15g}" for value in numbers.tolist()])  # noqa: PLR0124 - NaN


def _column(values: Column, some: slice, *, numeric: bool) -> Array:
    cells = python_values(values)[some]
    if numeric:
        try:
            return _numbers(cells)
        except (BadCell, TypeError, ValueError, OverflowError):
            pass
    return _objects([_text(cell) for cell in cells])


def _numbers(cells: Sequence[object]) -> Array:
    if any(isinstance(cell, str) for cell in cells):
        texts = [cell if isinstance(cell, str) else None for cell in cells]
        return np.asarray(from_texts(texts, "FP64", np.dtype(np.float64)), dtype=np.float64)
    return np.array([np.nan if cell is None else float(cell) for cell in cells], dtype=np.float64)  # type: ignore[arg-type]  # what is no number raises TypeError


def _text(cell: object) -> str | None:
    if cell is None:
        return None
    text = cell if isinstance(cell, str) else str(cell)
    return None if text.strip() in MISSING else text[:LONGEST_TEXT]


def _objects(values: Sequence[str | None]) -> Array:
    array = np.empty(len(values), dtype=np.object_)
    array[:] = values
    return array


def without(rows: Rows, names: Collection[str]) -> Rows:
    """The rows without some columns."""
    kept = {name: column for name, column in rows.columns.items() if name not in names}
    return Rows(columns=kept, numbers=rows.numbers, total=rows.total)
