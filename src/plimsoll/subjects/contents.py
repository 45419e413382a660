"""Where a person is in a file of any format: rows of tables, members of archives, tables of SQLite, and any text.

Numbers in binary arrays have no names, so that an id that is a number cannot be told from any other number there:
such files are found by what they were made of, and not by what is in them.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import mmap
import os
import sqlite3
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, cast

from msgspec import Struct

from plimsoll.errors import MissingExtra, PlimsollError
from plimsoll.files import open_regular
from plimsoll.runtime.tables.people import count_rows
from plimsoll.subjects.arrays import MAGIC as ARRAY
from plimsoll.subjects.arrays import texts_of
from plimsoll.subjects.identity import Matcher
from plimsoll.subjects.records import ESCAPES, LARGEST_DOCUMENT, NotRows, document_rows, rows_of
from plimsoll.subjects.texts import has, places

_PIECE = 8 << 20
_OVERLAP = 1 << 17
"""Bytes that two pieces share, so that an id on the border is seen: twice the longest id."""
_SQLITE, _PARQUET, _GZIP, _ZIP, _BZIP, _XZ, _ZSTD = (
    b"SQLite format 3\0",
    b"PAR1",
    b"\x1f\x8b",
    b"PK\x03\x04",
    b"BZh",
    b"\xfd7zXZ\x00",
    b"\x28\xb5\x2f\xfd",
)
_DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError)
DEEPEST = 3
"""Archives in archives."""


class Seen(Struct, frozen=True, kw_only=True):
    """What a file has of a person. `problem` says why it could not be searched as a whole; empty when it was."""

    rows: int = 0
    mentions: int = 0
    problem: str = ""

    @property
    def found(self) -> bool:
        """Whether there is anything."""
        return bool(self.rows or self.mentions)

    def __add__(self, other: Seen) -> Seen:
        return Seen(
            rows=self.rows + other.rows,
            mentions=self.mentions + other.mentions,
            problem=self.problem or other.problem,
        )


def look_into(path: Path, matcher: Matcher, columns: Collection[str]) -> Seen:
    """What a file has. `columns` are those that have ids of people."""
    try:
        with open_regular(path) as file:
            head = file.read(16)
            file.seek(0)
            if head.startswith(_PARQUET):
                return _parquet(path, matcher, columns)
            if head.startswith(_SQLITE):
                return _sqlite(path, matcher, columns) + _raw(file, matcher)
            return _opened(file, path.name, matcher, columns, 0)
    except FileNotFoundError:
        return Seen()
    except OSError as error:
        return Seen(problem=f"cannot be read: {error.strerror or error}")


def _opened(file: IO[bytes], name: str, matcher: Matcher, columns: Collection[str], depth: int) -> Seen:
    """Look into a file that can be read from its beginning more than once."""
    head = file.read(16)
    file.seek(0)
    if head.startswith(_ZSTD):
        return Seen(problem="is compressed with zstd, which cannot be searched")
    with contextlib.ExitStack() as held:
        try:
            inner = _unpacked(file, head, held)
            if inner is not None:
                if depth >= DEEPEST:
                    return Seen(problem="has archives in archives, deeper than is searched")
                return _opened(inner, name.rpartition(".")[0], matcher, columns, depth + 1)
            if head.startswith(_ZIP):
                return _zip(file, matcher, columns, depth) if depth < DEEPEST else Seen(problem="is too deep")
            if head.startswith(ARRAY):
                elements = texts_of(file, matcher) if matcher.in_texts else 0
                return Seen(mentions=elements) if elements is not None else _raw(file, matcher)
            return _plain(file, name, matcher, columns)
        except _DAMAGED as error:
            return Seen(problem=f"cannot be read: {error}")


def _unpacked(file: IO[bytes], head: bytes, held: contextlib.ExitStack) -> IO[bytes] | None:
    if head.startswith(_GZIP):
        return cast("IO[bytes]", held.enter_context(gzip.open(file)))
    if head.startswith(_BZIP):
        return held.enter_context(bz2.open(file))
    return held.enter_context(lzma.open(file)) if head.startswith(_XZ) else None


def _plain(file: IO[bytes], name: str, matcher: Matcher, columns: Collection[str]) -> Seen:
    needles = matcher.needles()
    if needles and needles[0].isascii() and not _has(file, (*needles, *ESCAPES)):
        return Seen()
    try:
        _, rows = rows_of(file, name, columns, matcher)
        count = sum(row.found for row in rows)
        if count:
            return Seen(rows=count)
    except NotRows:
        file.seek(0)
        count = document_rows(file.read(LARGEST_DOCUMENT + 1), matcher, columns)
        if count:
            return Seen(rows=count)
    file.seek(0)
    return _raw(file, matcher)


def _raw(file: IO[bytes], matcher: Matcher) -> Seen:
    if not matcher.in_texts:
        return Seen()
    file.seek(0)
    return Seen(mentions=sum(sum(1 for _ in places(piece, matcher)) for piece in _pieces(file)))


def _has(file: IO[bytes], needles: Collection[bytes]) -> bool:
    try:
        return any(has(piece, needles) for piece in _pieces(file))
    finally:
        file.seek(0)


def _pieces(file: IO[bytes]) -> Iterator[bytes | mmap.mmap]:
    """The content of a file, mapped where it is one on the disk; else in pieces that share their borders."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if not isinstance(file, gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile | zipfile.ZipExtFile):
            if not os.fstat(file.fileno()).st_size:
                return
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                yield mapped
            return
    before = b""
    while piece := file.read(_PIECE):
        yield before + piece
        before = (before + piece)[-_OVERLAP:]


def _zip(file: IO[bytes], matcher: Matcher, columns: Collection[str], depth: int) -> Seen:
    seen = Seen()
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                with archive.open(member) as inner:
                    seen += _opened(inner, member.filename, matcher, columns, depth + 1)
    return seen


def _parquet(path: Path, matcher: Matcher, columns: Collection[str]) -> Seen:
    def in_texts(text: str) -> bool:
        return matcher.in_texts and any(places(text.encode("utf-8", "surrogatepass"), matcher))

    try:
        return Seen(rows=count_rows(path, columns, matcher.matches, in_texts))
    except MissingExtra as error:
        return Seen(problem=f"cannot be read: {error.message}; {error.hint}")
    except PlimsollError as error:
        return Seen(problem=error.message)


def _sqlite(path: Path, matcher: Matcher, columns: Collection[str]) -> Seen:
    rows = 0
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                quoted = '"' + str(table).replace('"', '""') + '"'
                for column in database.execute(f"PRAGMA table_info({quoted})").fetchall():
                    if column[1] in columns:
                        name = '"' + str(column[1]).replace('"', '""') + '"'
                        cells = database.execute(f"SELECT {name} FROM {quoted}")  # noqa: S608 - quoted names
                        rows += sum(matcher.matches(cell) for (cell,) in cells)
    except sqlite3.Error as error:
        return Seen(problem=f"cannot be read: {error}")
    return Seen(rows=rows)
