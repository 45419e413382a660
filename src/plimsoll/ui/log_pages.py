"""Pages of a log by byte offset: the last page of a million lines costs what the first costs."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from plimsoll.errors import PlimsollError

PAGE = 64 << 10
"""Bytes of a page."""
SEARCHED = 256 << 20
"""Bytes that one search looks at."""
_CHUNK = 4 << 20


class LogPage(Struct, frozen=True, kw_only=True):
    """Whole lines of a log from byte `begin` to byte `end`; `size` is that of the file now.

    A line that is longer than a page comes in parts.
    """

    text: str
    begin: int
    end: int
    size: int


def page_from(path: Path, begin: int) -> LogPage:
    """The page that begins at a byte. Raises PlimsollError when the log cannot be read."""
    content, size = _read(path, begin, PAGE)
    begin = min(max(0, begin), size)
    cut = content.rfind(b"\n") + 1
    if begin + len(content) < size or not content.endswith(b"\n"):
        # The last line of a file may be half written: it is shown, and comes again with the page from its beginning.
        content = content[:cut] if cut and begin + len(content) < size else _whole(content)
    return LogPage(text=_decoded(content), begin=begin, end=begin + len(content), size=size)


def page_before(path: Path, end: int | None) -> LogPage:
    """The page that ends at a byte, or at the end of the file. Raises PlimsollError when the log cannot be read."""
    _, size = _read(path, 0, 0)
    end = size if end is None else min(max(0, end), size)
    begin = max(0, end - PAGE)
    content, size = _read(path, begin, end - begin)
    if begin:
        first = content.find(b"\n") + 1
        dropped = first if 0 < first < len(content) else _continued(content)
        content, begin = content[dropped:], begin + dropped
    return LogPage(text=_decoded(content), begin=begin, end=begin + len(content), size=size)


def find_text(path: Path, text: str, begin: int) -> int | None:
    """The byte at which the next line with a text begins, from a byte on; `None` without one in the next `SEARCHED`.

    Upper and lower case are the same for ASCII. Raises PlimsollError when the log cannot be read.
    """
    wanted = text.encode(errors="replace").lower()
    if not wanted:
        return None
    at, kept = max(0, begin), b""
    until = at + SEARCHED
    while at < until:
        content, _ = _read(path, at, _CHUNK)
        if not content:
            return None
        joined = kept + content
        place = joined.lower().find(wanted)
        if place >= 0:
            start = joined.rfind(b"\n", 0, place) + 1
            return at - len(kept) + start
        at += len(content)
        kept = joined[max(joined.rfind(b"\n") + 1, len(joined) - PAGE) :]
    return None


def _read(path: Path, begin: int, count: int) -> tuple[bytes, int]:
    """Bytes of the file, and its size."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, min(begin, size)))
            return file.read(min(count, size)), size
    except OSError as error:
        raise PlimsollError(f"the log cannot be read: {error.strerror}", where=str(path)) from error


def _whole(content: bytes) -> bytes:
    """Without the bytes of a last character that is not complete."""
    for back in range(1, min(4, len(content)) + 1):
        first = content[-back]
        if first & 0xC0 == 0xC0:
            length = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
            return content[:-back] if back < length else content
        if first < 0x80:
            break
    return content


def _continued(content: bytes) -> int:
    """How many bytes at the beginning belong to a character that began before."""
    return next((n for n, byte in enumerate(content[:4]) if byte & 0xC0 != 0x80), 0)


def _decoded(content: bytes) -> str:
    return content.decode(errors="replace")
