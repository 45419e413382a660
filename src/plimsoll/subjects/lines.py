"""The lines of a file, one by one where somebody has to look at them and many at once where nobody has to.

A table of a million rows has few of one person. To ask each line costs most of the time of an erasure; to ask a piece
of a megabyte whether it has the id at all costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import IO

LONGEST_ROW = 64 << 20
"""Bytes of a line, and of a row: a quote that is not closed takes no more than these."""
_PIECE = 1 << 20


class Lines(Iterator[bytes]):
    """The lines of an open file with their ends. `first` stands before what the file still has."""

    def __init__(self, file: IO[bytes], first: bytes = b"") -> None:
        self._file, self._piece, self._at = file, first, 0
        self._next: dict[bytes, int] = {}
        """Where each needle stands next in the piece, so that no byte is searched twice; its end where it does not."""

    def __next__(self) -> bytes:
        """One line."""
        if not self._has_more():
            raise StopIteration
        end = self._piece.find(b"\n", self._at) + 1 or len(self._piece)
        line = self._piece[self._at : end]
        self._at = end
        return line

    def without(self, needles: Collection[bytes]) -> bytes:
        """Whole lines before the next one that has any of the needles; empty where that is the next, or none is left.

        Fewer may come at a time than there are.
        """
        if not needles or not self._has_more():
            return b""
        place = min(map(self._find, needles))
        end = place if place == len(self._piece) else self._piece.rfind(b"\n", self._at, place) + 1 or self._at
        found = self._piece[self._at : end]
        self._at = end
        return found

    def _find(self, needle: bytes) -> int:
        known = self._next.get(needle, -1)
        if known < self._at:
            found = self._piece.find(needle, self._at)
            known = self._next[needle] = found if found >= 0 else len(self._piece)
        return known

    def _has_more(self) -> bool:
        """Whether a line is left; the next piece ends where a line does."""
        if self._at == len(self._piece):
            piece = self._file.read(_PIECE)
            if piece and not piece.endswith(b"\n"):
                piece += self._file.readline(LONGEST_ROW)
            self._piece, self._at, self._next = piece, 0, {}
        return self._at < len(self._piece)
