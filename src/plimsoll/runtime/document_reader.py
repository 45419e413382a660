"""Documents of a dataset: files, by parsers in another process, or the rows of a table."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from plimsoll.errors import PlimsollError
from plimsoll.indexes.documents import Document, Unreadable
from plimsoll.indexes.parsing import PARSERS
from plimsoll.indexes.parsing.text import paragraphs
from plimsoll.runtime.document_parser import Parsed
from plimsoll.runtime.index_order import Columns
from plimsoll.runtime.tables.chunk import Chunk, cell_value
from plimsoll.runtime.tables.table import Table

SECONDS = 60.0
"""Time to read one document."""
MOST_BYTES = 256 * 2**20
"""Size of one file."""
MOST_ANSWER = 512 * 2**20
"""Bytes of one answer of the parser."""
_ROWS = 1000


def read_files(root: Path) -> Iterator[Document | Unreadable]:
    """Read a file, or all files in a directory in the order of their paths; those with a leading dot are left out."""
    files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    base = root.parent if root.is_file() else root
    reader = _ParserProcess()
    try:
        for path in files:
            name = path.relative_to(base).as_posix()
            if any(part.startswith(".") for part in name.split("/")):
                continue
            problem = _problem(path, base)
            parsed = Parsed(problem=problem) if problem else reader.read(path)
            if parsed.problem or not parsed.blocks:
                yield Unreadable(source=name, reason=parsed.problem or "has no text")
            else:
                yield Document(id=name, source=name, text=parsed.text, blocks=parsed.blocks)
    finally:
        reader.close()


def _problem(path: Path, base: Path) -> str:
    if path.suffix.lower() not in PARSERS:
        return f"has no parser; there are parsers for {', '.join(sorted(PARSERS))}"
    if not path.resolve().is_relative_to(base.resolve()):
        return "is a link that leads out of the dataset"
    size = path.stat().st_size
    if size > MOST_BYTES:
        return f"has {size / 2**20:.0f} MiB; the limit is {MOST_BYTES / 2**20:.0f} MiB"
    return ""


class _ParserProcess:
    """The process that reads documents; one that does not answer is ended, and another takes its place."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, path: Path) -> Parsed:
        """Read one document."""
        if self._process is None:
            command = [sys.executable, "-m", "plimsoll.runtime.document_parser"]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process = self._process
        try:
            if process.stdin is not None:
                process.stdin.write(msgspec.json.encode(os.fsdecode(path)) + b"\n")
                process.stdin.flush()
            answer = _line(process, time.monotonic() + SECONDS)
        except (OSError, ValueError):
            answer = None
        if answer is not None:
            return msgspec.json.decode(answer, type=Parsed)
        self.close()
        if process.returncode and process.returncode != -9:
            return Parsed(problem=f"ends the parser with status {process.returncode}")
        return Parsed(problem=f"takes longer than {SECONDS:g} s to be read")

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                # What a parser that died has not read is still to be written.
                with contextlib.suppress(OSError):
                    pipe.close()


def _line(process: subprocess.Popen[bytes], deadline: float) -> bytes | None:
    """The next line of the process; None when it ended or the time is over."""
    if process.stdout is None:
        return None
    descriptor = process.stdout.fileno()
    parts: list[bytes] = []
    length = 0
    while (left := deadline - time.monotonic()) > 0 and length <= MOST_ANSWER:
        ready, _, _ = select.select([descriptor], [], [], left)
        if not ready:
            return None
        part = os.read(descriptor, 1 << 20)
        if not part:
            process.wait(timeout=5)
            return None
        parts.append(part)
        length += len(part)
        # One answer is out at a time, so that a line ends where the bytes do.
        if part.endswith(b"\n"):
            return b"".join(parts)
    return None


def read_table(path: Path, columns: Columns) -> Iterator[Document | Unreadable]:
    """Read the rows of a table. Raises PlimsollError for columns that it lacks, and for rows without a label."""
    table = Table(path)
    wanted = {columns.text, *columns.metadata, *(filter(None, (columns.id, columns.title, columns.access)))}
    if missing := sorted(wanted - set(table.names)):
        text = f"the table has no column '{missing[0]}'"
        raise PlimsollError(text, where=str(path), hint=f"its columns are {', '.join(table.names[:20])}")
    for chunk in table.chunks(_ROWS, wanted):
        for row in range(chunk.rows):
            yield _document(chunk, row, columns, path if path.is_dir() else path.parent)


def _document(chunk: Chunk, row: int, columns: Columns, root: Path) -> Document | Unreadable:
    number = chunk.first + row + 1
    where = chunk.place(row)
    # What is found is shown to others, and says nothing of this machine's directories.
    source = where.removeprefix(f"{root}/")
    text = _cell(chunk, columns.text, row)
    if not text.strip():
        return Unreadable(source=source, reason=f"has no text in the column '{columns.text}'")
    name = _cell(chunk, columns.id, row).strip() if columns.id else str(number)
    if not name:
        return Unreadable(source=source, reason=f"has no id in the column '{columns.id}'")
    labels = tuple(label.strip() for label in _cell(chunk, columns.access, row).split(",") if label.strip())
    if columns.access and not labels:
        hint = "give each row a label: a row without one would be seen by everybody"
        raise PlimsollError(f"the row has no label in the column '{columns.access}'", where=where, hint=hint)
    return Document(
        id=name,
        source=source,
        text=text,
        blocks=paragraphs(text),
        title=_cell(chunk, columns.title, row).strip(),
        metadata={each: _cell(chunk, each, row) for each in columns.metadata},
        access=labels,
    )


def _cell(chunk: Chunk, column: str | None, row: int) -> str:
    value = cell_value(chunk.columns[column], row) if column else None
    if isinstance(value, bytes):
        raise PlimsollError(
            f"the cell of '{column}' is no UTF-8", where=chunk.place(row), hint="save the table as UTF-8"
        )
    return "" if value is None else str(value)
