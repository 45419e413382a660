"""The rows of a person as records, for whoever asks what is kept of them."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Collection
from pathlib import Path
from typing import IO, cast

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.files import open_regular
from plimsoll.runtime.tables.people import rows_with
from plimsoll.subjects.identity import Matcher
from plimsoll.subjects.records import LARGEST_DOCUMENT, CsvRows, NotRows, is_of, rows_of

Record = dict[str, object]


def records_in(path: Path, matcher: Matcher, columns: Collection[str]) -> list[Record]:
    """The person's rows in a table; none in what is no table. Raises PlimsollError for a table that cannot be read."""
    with open_regular(path) as file:
        head = file.read(4)
        file.seek(0)
        if head == b"PAR1":
            return rows_with(path, columns, matcher.matches)
        packed = head.startswith(b"\x1f\x8b")
        source = cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if packed else file
        try:
            return _of_text(source, path.name.removesuffix(".gz"), matcher, columns)
        except (OSError, EOFError):
            return []


def _of_text(file: IO[bytes], name: str, matcher: Matcher, columns: Collection[str]) -> list[Record]:
    try:
        header, rows = rows_of(file, name, columns, matcher)
        found = [row.content for row in rows if row.found]
    except NotRows:
        file.seek(0)
        return _of_document(file.read(LARGEST_DOCUMENT + 1), matcher, columns)
    if not header:
        return [_as_record(msgspec.json.decode(each)) for each in found]
    table = CsvRows(header, columns)
    texts = [each.decode(errors="replace") for each in found]
    cells = [next(csv.reader([text], delimiter=table.separator), []) for text in texts]
    return [dict(zip(table.names, (each.rstrip("\r\n") for each in row), strict=False)) for row in cells]


def _of_document(content: bytes, matcher: Matcher, columns: Collection[str]) -> list[Record]:
    if len(content) > LARGEST_DOCUMENT:
        return []
    try:
        value = msgspec.json.decode(content)
    except UNREADABLE:
        return []
    values = value if isinstance(value, list) else [value]
    return [_as_record(each) for each in values if is_of(each, matcher, columns)]


def _as_record(value: object) -> Record:
    return value if isinstance(value, dict) else {"value": value}
