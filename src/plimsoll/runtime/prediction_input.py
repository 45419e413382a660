"""What `plimsoll predict` is given: a request of the protocol, records, or a table; in a file or on standard input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO

from plimsoll.errors import PlimsollError
from plimsoll.runtime.client import OipMessage
from plimsoll.runtime.tables.layout import AnyTable
from plimsoll.runtime.tables.records import RecordTable, decoded, from_lines, from_list
from plimsoll.runtime.tables.table import Table
from plimsoll.waits import waiting_for

STANDARD_INPUT = Path("standard input")
LARGEST = 256 << 20
"""Bytes of JSON, and of standard input, which are read whole. Tables in files are read in parts."""


def read_input(path: Path) -> OipMessage | AnyTable:
    """What a file has, by its name: `.json`, `.jsonl`, `.ndjson`, or a table. Raises PlimsollError."""
    readers: dict[str, Callable[[Path, bytes], OipMessage | RecordTable]] = {
        ".json": _document,
        ".jsonl": from_lines,
        ".ndjson": from_lines,
    }
    read = readers.get(path.suffix)
    if read is None:
        return Table(path)
    try:
        with path.open("rb") as file:
            return read(path, _whole(path, file))
    except OSError as error:
        raise PlimsollError(f"cannot read the file: {error.strerror}", where=str(path)) from error


def read_standard_input(stream: IO[bytes]) -> OipMessage | AnyTable:
    """What standard input has, by how it begins: `[` and `{` are JSON, everything else is CSV. Raises PlimsollError."""
    with waiting_for("rows on standard input"):
        content = _whole(STANDARD_INPUT, stream)
    start = content.lstrip()[:1]
    if not start:
        raise PlimsollError(
            "there is nothing to read", where=str(STANDARD_INPUT), hint="pipe rows or a request into it"
        )
    if start == b"{" and _has_more_lines(content):
        return from_lines(STANDARD_INPUT, content)
    if start in (b"[", b"{"):
        return _document(STANDARD_INPUT, content)
    try:
        return Table(STANDARD_INPUT, content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        message = "this is neither JSON nor CSV in UTF-8"
        raise PlimsollError(message, where=str(STANDARD_INPUT), hint="name a Parquet file with --input") from error


def _document(path: Path, content: bytes) -> OipMessage | RecordTable:
    """One JSON value: a request of the protocol has `inputs`, everything else is a record or a list of them."""
    value = decoded(path, content)
    if isinstance(value, dict) and isinstance(value.get("inputs"), list):
        return value
    if isinstance(value, dict | list):
        return from_list(path, value if isinstance(value, list) else [value])
    hint = 'for example [{"bmi": 1.2}]'
    raise PlimsollError("expected a list of records, or a request with `inputs`", where=str(path), hint=hint)


def _has_more_lines(content: bytes) -> bool:
    """Whether the first line is a whole record and another one follows."""
    first, _, rest = content.strip().partition(b"\n")
    return first.rstrip().endswith(b"}") and rest.lstrip()[:1] == b"{"


def _whole(path: Path, stream: IO[bytes]) -> bytes:
    content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        hint = "put the rows into a .csv or .parquet file, which is read in parts"
        raise PlimsollError(f"more than {LARGEST >> 20} MB at once", where=str(path), hint=hint)
    return content
