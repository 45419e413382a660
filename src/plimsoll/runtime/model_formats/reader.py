"""Reads numbers and text of a header; what is not there is an error that says how much is missing."""

from __future__ import annotations

import struct
from typing import IO


class BadModelFile(Exception):
    """The file is not what its first bytes say, or not all of it is there; the message says which."""


def printable(text: str, most: int) -> str:
    """The begin of a text of a file, as people may be shown it: a file may have a terminal's commands in its names."""
    return "".join(character if character.isprintable() else "?" for character in text[:most])


class Reader:
    """Reads a header from a file of `size` bytes. No single piece may be longer than `most`."""

    def __init__(self, file: IO[bytes], size: int, kind: str, most: int = 16 << 20) -> None:
        self._file = file
        self.size = size
        self.kind = kind
        self._most = most
        self.place = 0

    def take(self, count: int) -> bytes:
        """The next bytes. Raises BadModelFile when they are not there, or are too many for a header."""
        if self.place + count > self.size:
            raise BadModelFile(self.cut_off(self.place + count))
        if count > self._most:
            raise BadModelFile(f"it has a header with a piece of {count} bytes: it is damaged, or no {self.kind} file")
        content = self._file.read(count)
        if len(content) != count:
            raise BadModelFile(self.cut_off(self.place + count))
        self.place += count
        return content

    def skip(self, count: int) -> None:
        """Pass bytes that are not read. Raises BadModelFile when they are not there."""
        if self.place + count > self.size:
            raise BadModelFile(self.cut_off(self.place + count))
        self._file.seek(count, 1)
        self.place += count

    def number(self, form: str) -> int:
        """The next number, in a form of `struct`."""
        (value,) = struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))
        return int(value)

    def text(self) -> str:
        """A text with its length in front."""
        return self.take(self.number("Q")).decode("utf-8", errors="replace")

    def cut_off(self, needed: int) -> str:
        """The sentence for a file that ends too early."""
        return f"the {self.kind} file is cut off: it has {self.size} bytes and needs at least {needed}"
