"""Rows of text files, as the bytes that they are: CSV with any separator, and JSON Lines. Pure.

What is not removed keeps every byte: quotes, ends of lines and columns of others are nobody's to rewrite.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Collection, Iterator
from typing import IO

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE
from plimsoll.subjects.identity import Matcher
from plimsoll.subjects.lines import LONGEST_ROW, Lines

SEPARATORS = (",", ";", "\t", "|")
ESCAPES = (b"\\u", b"\\/")
"""How JSON may write a character that could stand for itself."""
LARGEST_DOCUMENT = 64 << 20
"""Bytes of a JSON document that is read as a whole."""
csv.field_size_limit(max(csv.field_size_limit(), 8 << 20))
_BOM = b"\xef\xbb\xbf"


class Row(Struct, frozen=True):
    """One row that may be the person's, or as many as stand together of which none can be."""

    content: bytes
    found: bool


class NotRows(Exception):
    """The file has no rows of this form."""


class CsvRows:
    """The rows of a CSV file. `places` are the positions of the columns that have ids."""

    def __init__(self, header: bytes, columns: Collection[str]) -> None:
        """Read the header. Raises NotRows for one without any of the columns."""
        text = header.removeprefix(_BOM).decode(errors="surrogateescape").rstrip("\r\n")
        self.names, self.separator = _names(text, columns)
        self.places = [place for place, name in enumerate(self.names) if name.strip() in columns]
        if not self.places:
            raise NotRows

    def rows(self, lines: Lines, matcher: Matcher) -> Iterator[Row]:
        """The rows after the header, as the reader of CSV divides them. Raises NotRows where it cannot."""
        needles = matcher.needles()
        # Decomposed and composed characters may be mixed in a cell: then each is looked at.
        stops = (*needles, b'"') if needles and needles[0].isascii() else ()
        while True:
            while others := lines.without(stops):
                yield Row(others, False)
            line = next(lines, None)
            if line is None:
                return
            content, cells = self._row(line, lines)
            found = any(place < len(cells) and matcher.matches(cells[place]) for place in self.places)
            yield Row(content, found)

    def _row(self, line: bytes, following: Iterator[bytes]) -> tuple[bytes, list[str]]:
        """The row that begins with a line: a cell in quotes goes on over ends of lines."""
        taken: list[bytes] = []

        def texts() -> Iterator[str]:
            for each in itertools.chain((line,), following):
                taken.append(each)
                yield each.decode(errors="surrogateescape")

        try:
            cells = next(csv.reader(texts(), delimiter=self.separator), [])
        except csv.Error as error:
            raise NotRows(str(error)) from error
        return b"".join(taken), cells


class JsonRows:
    """The rows of JSON Lines: objects, of which those are the person's that have the id at one of the names."""

    def __init__(self, columns: Collection[str]) -> None:
        self._columns = columns

    def rows(self, lines: Lines, matcher: Matcher) -> Iterator[Row]:
        """The rows. Raises NotRows for a line that is no JSON; of those without the id, the first alone is read."""
        needles = matcher.needles()
        # Any character may be written by its number, and a slash after a backslash: such lines are looked at.
        stops = (*needles, *ESCAPES) if needles and needles[0].isascii() else ()
        while (line := next(lines, None)) is not None:
            yield Row(line, bool(line.strip()) and self._is_found(line, matcher))
            while others := lines.without(stops):
                yield Row(others, False)

    def _is_found(self, line: bytes, matcher: Matcher) -> bool:
        try:
            return is_of(msgspec.json.decode(line), matcher, self._columns)
        except UNREADABLE as error:
            raise NotRows(str(error)) from error


def is_of(value: object, matcher: Matcher, columns: Collection[str]) -> bool:
    """Whether a value of JSON has the id at one of these names, at any depth."""
    if isinstance(value, dict):
        return any((name in columns and _matches(each, matcher)) or is_of(each, matcher, columns)
                   for name, each in value.items())  # fmt: skip
    return isinstance(value, list) and any(is_of(each, matcher, columns) for each in value)


def document_rows(content: bytes, matcher: Matcher, columns: Collection[str]) -> int:
    """The rows of one JSON document: elements of a list, or the document itself; 0 for what is no JSON."""
    if content.lstrip(_BOM).lstrip()[:1] not in {b"[", b"{"} or len(content) > LARGEST_DOCUMENT:
        return 0
    try:
        value = msgspec.json.decode(content.removeprefix(_BOM))
    except UNREADABLE:
        return 0
    return sum(is_of(each, matcher, columns) for each in (value if isinstance(value, list) else [value]))


def rows_of(file: IO[bytes], name: str, columns: Collection[str], matcher: Matcher) -> tuple[bytes, Iterator[Row]]:
    """The header (empty for JSON Lines) and the rows of an open file. Raises NotRows for what is neither."""
    if not columns:
        raise NotRows
    first = file.readline(LONGEST_ROW)
    if first.lstrip(_BOM).lstrip()[:1] == b"{":
        return b"", JsonRows(columns).rows(Lines(file, first), matcher)
    if name.endswith((".json", ".jsonl", ".ndjson")) or b"\0" in first:
        raise NotRows
    while first.count(b'"') % 2 and len(first) < LONGEST_ROW and (more := file.readline(LONGEST_ROW)):
        first += more
    return first, CsvRows(first, columns).rows(Lines(file), matcher)


def _matches(value: object, matcher: Matcher) -> bool:
    return any(matcher.matches(each) for each in (value if isinstance(value, list) else [value]))


def _names(text: str, columns: Collection[str]) -> tuple[list[str], str]:
    found: tuple[list[str], str] = ([], ",")
    for separator in SEPARATORS:
        try:
            names = next(csv.reader([text], delimiter=separator), [])
        except csv.Error:
            continue
        if any(name.strip() in columns for name in names):
            return names, separator
        found = max(found, (names, separator), key=lambda each: len(each[0]))
    return found
