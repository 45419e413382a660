"""Records of JSON as a table: a list of objects, or one object a line."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import PlimsollError
from plimsoll.runtime.conversion.json_cells import JsonCells, json_contents
from plimsoll.runtime.conversion.texts import Contents
from plimsoll.runtime.tables.chunk import Chunk

Record = Mapping[str, object]
_EXAMPLE = 'an object of columns and values, such as {"bmi": 1.2}'
_BYTE = re.compile(r"\(byte (\d+)\)")
_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}


class RecordTable:
    """`names` has the columns of all records in order. A record may lack columns that the model does not take."""

    def __init__(self, path: Path, records: Sequence[Record], lines: Sequence[int] = ()) -> None:
        """`lines` has the line of each record; without them records are numbered, from 1."""
        self.path = path
        self.files = [path]
        self.names = list(dict.fromkeys(name for record in records for name in record))
        self._records = records
        self._lines = lines

    def arrow_type(self, name: str) -> None:
        """None: JSON has no types of Arrow."""
        return

    def contents(self) -> dict[str, Contents]:
        """What each column is, as numbers. Raises PlimsollError for a record without one of them."""
        return {name: json_contents(self._column(name, 0, len(self._records))) for name in self.names}

    def chunks(self, rows: int, columns: Collection[str] | None = None) -> Iterator[Chunk]:
        """Yield all records in order, at most `rows` at a time, with these columns or all. Raises PlimsollError."""
        wanted = [name for name in self.names if columns is None or name in columns]
        for first in range(0, len(self._records), rows):
            end = min(first + rows, len(self._records))
            yield Chunk(
                first=first,
                start=first + 1,
                rows=end - first,
                file=str(self.path),
                columns={name: self._column(name, first, end) for name in wanted},
                lines=self._lines[first:end],
                unit="record",
            )

    def _column(self, name: str, first: int, end: int) -> JsonCells:
        cells = []
        for number in range(first, end):
            record = self._records[number]
            if name not in record:
                has = ", ".join(list(record)[:10]) or "no fields"
                hint = "give it a value, or null where it is missing"
                message = f"the field '{name}' is missing here; the record has {has}"
                raise PlimsollError(message, where=self._place(number), hint=hint)
            cells.append(record[name])
        return JsonCells(cells)

    def _place(self, number: int) -> str:
        return f"{self.path}:{self._lines[number]}" if self._lines else f"{self.path}, record {number + 1}"


def from_list(path: Path, values: Sequence[object]) -> RecordTable:
    """The table of a list of records. Raises PlimsollError for a list of something else."""
    for number, value in enumerate(values, 1):
        if not isinstance(value, dict):
            raise PlimsollError(f"this is {_kind(value)}, expected {_EXAMPLE}", where=f"{path}, record {number}")
    return RecordTable(path, [value for value in values if isinstance(value, dict)])


def from_lines(path: Path, content: bytes) -> RecordTable:
    """The table of JSON lines; empty lines are no records. Raises PlimsollError that names the line."""
    records: list[Record] = []
    lines: list[int] = []
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        value = decoded(path, line, line=number)
        if not isinstance(value, dict):
            raise PlimsollError(f"this line is {_kind(value)}, expected {_EXAMPLE}", where=f"{path}:{number}")
        records.append(value)
        lines.append(number)
    return RecordTable(path, records, lines)


def decoded(path: Path, content: bytes, line: int = 1) -> object:
    """The JSON value of some content, which begins at a line. Raises PlimsollError that names line and column."""
    try:
        return msgspec.json.decode(content)
    except UNREADABLE as error:
        found = _BYTE.search(str(error))
        before = content[: int(found[1])] if found else content
        column = len(before) - (before.rfind(b"\n") + 1) + 1
        reason = _BYTE.sub("", str(error)).removeprefix("JSON is malformed: ").strip()
        newlines = before.count(b"\n")
        raise PlimsollError(f"this is not JSON: {reason}", where=f"{path}:{line + newlines}:{column}") from error


def _kind(value: object) -> str:
    return "null" if value is None else _KINDS[type(value)]
