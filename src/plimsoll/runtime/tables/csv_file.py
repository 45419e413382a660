"""A CSV file: a line with the names of the columns, then rows. Empty lines are no rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO

from plimsoll.errors import PlimsollError
from plimsoll.runtime.conversion.texts import Contents
from plimsoll.runtime.tables.chunk import Chunk

LARGEST_CELL = 8 << 20
"""Characters of a cell: a quote that is not closed takes no more than these."""
LARGEST_CHUNK = 64 << 20
"""Characters of the rows of a chunk, unless one row alone has more."""
csv.field_size_limit(LARGEST_CELL)


class CsvFile:
    """An open description of the file. `names` has the columns in order."""

    def __init__(self, path: Path, text: str | None = None) -> None:
        """Read the names. `text` is the content of what is no file. Raises PlimsollError for what is no table."""
        self.path = path
        self._text = text
        self.names: list[str] = []
        for line, cells in self._lines():
            self.names = cells
            self._header = line
            break
        if not self.names or len(set(self.names)) != len(self.names):
            message = "the first line must name the columns, each once"
            twice = sorted({name for name in self.names if self.names.count(name) > 1})
            hint = f"'{twice[0]}' is there more than once" if twice else ""
            raise PlimsollError(message, where=f"{path}:{self._header if self.names else 1}", hint=hint)

    @property
    def contents(self) -> dict[str, Contents]:
        """What a column is by its type: CSV has no types."""
        return {}

    def chunks(self, rows: int, columns: Collection[str]) -> Iterator[Chunk]:
        """Yield all rows in order, at most `rows` at a time, with these columns. Raises PlimsollError.

        Rows with long cells are fewer at a time.
        """
        places = [place for place, name in enumerate(self.names) if name in columns]
        start = size = 0
        lines: list[int] = []
        collected: list[list[str]] = []
        for line, cells in self._lines():
            if line == self._header:
                continue
            if len(cells) != len(self.names):
                message = f"this row has {len(cells)} cells, expected {len(self.names)}"
                raise PlimsollError(message, where=f"{self.path}:{line}")
            lines.append(line)
            collected.append(cells)
            size += sum(map(len, cells))
            if len(collected) == rows or size > LARGEST_CHUNK:
                yield self._chunk(start, lines, collected, places)
                start, size, lines, collected = start + len(collected), 0, [], []
        if collected:
            yield self._chunk(start, lines, collected, places)

    def _chunk(self, start: int, lines: list[int], collected: list[list[str]], places: list[int]) -> Chunk:
        transposed = list(zip(*collected, strict=True))
        columns = {self.names[place]: transposed[place] for place in places}
        return Chunk(
            first=start, start=start, rows=len(collected), file=str(self.path), columns=columns, lines=tuple(lines)
        )

    def _open(self) -> IO[str]:
        if self._text is not None:
            return io.StringIO(self._text, newline="")
        return self.path.open(newline="", encoding="utf-8-sig")

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """Each line that is not empty, with its number. A cell in quotes may continue on the next lines."""
        line = 1
        try:
            with self._open() as file:
                reader = csv.reader(file)
                for cells in reader:
                    if cells:
                        yield line, cells
                    line = reader.line_num + 1
        except OSError as error:
            raise PlimsollError(f"cannot read the table: {error.strerror}", where=str(self.path)) from error
        except (UnicodeDecodeError, csv.Error) as error:
            if "field limit" in str(error):
                message = f"a cell has more than {LARGEST_CELL} characters"
                hint = "close the quote before it, or keep what is so long outside of the table"
                raise PlimsollError(message, where=f"{self.path}:{line}", hint=hint) from error
            message = f"the file is not CSV in UTF-8: {error}"
            raise PlimsollError(message, where=f"{self.path}:{line}") from error
