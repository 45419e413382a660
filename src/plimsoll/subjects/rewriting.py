"""Files without the rows of a person. The other rows keep their bytes; a reader sees the old file or the new one."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, cast

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import PlimsollError
from plimsoll.files import flush, open_regular
from plimsoll.runtime.tables.people import copy_without
from plimsoll.subjects.identity import Matcher
from plimsoll.subjects.records import LARGEST_DOCUMENT, NotRows, is_of, rows_of

_TOKEN = re.compile(r"[0-9a-f]{16}")
_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"


def remove_rows(path: Path, matcher: Matcher, columns: Collection[str]) -> int:
    """Replace a table by itself without the rows of the person; returns how many have gone.

    Raises PlimsollError for a file that is no table with one of the columns: it is as it was then.
    """
    path = path.resolve()
    try:
        with open_regular(path) as file:
            head = file.read(4)
        with _replacing(path) as copy:
            if head == _PARQUET:
                return copy_without(path, copy, columns, matcher.matches)
            return _copy(path, copy, matcher, columns, packed=head.startswith(_GZIP))
    except NotRows as error:
        named = ", ".join(sorted(columns))
        text = f"this is no table with a column {named}, of which rows could be taken out{_why(error)}"
        raise PlimsollError(
            text, where=str(path), hint="take the person out of it by hand, or remove the file"
        ) from error
    except OSError as error:
        text = f"rows cannot be taken out: {error.strerror or error}"
        raise PlimsollError(text, where=str(path), hint="make the file and its directory writable") from error


def _copy(path: Path, copy: Path, matcher: Matcher, columns: Collection[str], *, packed: bool) -> int:
    removed = 0
    with _reading(path, packed) as source, _writing(copy, packed) as target:
        try:
            header, rows = rows_of(source, path.name.removesuffix(".gz"), columns, matcher)
            target.write(header)
            for row in rows:
                if row.found:
                    removed += 1
                else:
                    target.write(row.content)
        except NotRows:
            source.seek(0)
            return _copy_document(source, target, matcher, columns)
    return removed


def _copy_document(source: IO[bytes], target: IO[bytes], matcher: Matcher, columns: Collection[str]) -> int:
    """A JSON document that is a list: its elements are the rows. Raises NotRows for any other."""
    content = source.read(LARGEST_DOCUMENT + 1)
    try:
        values = msgspec.json.decode(content) if len(content) <= LARGEST_DOCUMENT else None
    except UNREADABLE:
        values = None
    if not isinstance(values, list):
        raise NotRows
    kept = [each for each in values if not is_of(each, matcher, columns)]
    target.write(msgspec.json.format(msgspec.json.encode(kept), indent=2 if b"\n" in content.strip() else 0) + b"\n")
    return len(values) - len(kept)


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A file beside it that takes its place at the end of the block, with its rights; gone when the block fails."""
    name = f".{path.name[:100]}."
    for left in path.parent.iterdir():
        # A rewriting that was killed.
        if left.name.startswith(name) and _TOKEN.fullmatch(left.name.removeprefix(name)):
            left.unlink(missing_ok=True)
    copy = path.with_name(name + secrets.token_hex(8))
    try:
        copy.touch(mode=0o600, exist_ok=False)
        shutil.copymode(path, copy)
        with contextlib.suppress(PermissionError):
            status = path.stat()
            os.chown(copy, status.st_uid, status.st_gid)
        yield copy
        flush(copy)
        copy.replace(path)
        flush(path.parent)
    finally:
        copy.unlink(missing_ok=True)


@contextlib.contextmanager
def _reading(path: Path, packed: bool) -> Iterator[IO[bytes]]:
    with open_regular(path) as file:
        yield cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if packed else file


@contextlib.contextmanager
def _writing(path: Path, packed: bool) -> Iterator[IO[bytes]]:
    with path.open("wb") as file:
        if not packed:
            yield file
            return
        with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as inner:
            yield cast("IO[bytes]", inner)


def _why(error: NotRows) -> str:
    return f": {error}" if str(error) else ""
