"""A long response on its way: in pieces, so that writing it delays nobody."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from plimsoll.runtime.server.responses import Buffer

PIECE = 256 << 10
"""Bytes that are written in a turn of the event loop. The loop itself would write as much as the client takes."""


class Outgoing:
    """The parts of a response that are not written yet. `left` is their number of bytes."""

    def __init__(self, parts: Iterable[Buffer]) -> None:
        self._parts = deque(memoryview(part) for part in parts if len(part))
        self.left = sum(map(len, self._parts))

    def take(self) -> list[Buffer]:
        """The next piece, without a copy."""
        taken: list[Buffer] = []
        room = PIECE
        while self._parts and room:
            part = self._parts[0]
            taken.append(part[:room])
            if len(part) <= room:
                self._parts.popleft()
            else:
                self._parts[0] = part[room:]
            room -= len(taken[-1])
        self.left -= PIECE - room
        return taken
