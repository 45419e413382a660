"""Turns of the event loop: what is long goes on in pieces, and all that is long together gets a part of each turn.

Without this, six hundred clients that send as fast as they can get six hundred pieces read and handled in one turn, and
everybody else waits for the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

READ_IN_TURN = 256 << 10
"""Bytes of long bodies, and of what is dropped, that are read in a turn: the loop itself would go on for megabytes."""
LEAST = 2 << 10
"""Bytes that a read counts at least: many small ones take long too."""
STEPS_IN_TURN = 4
"""Connections that go on in a turn with what they were held up in."""


class Loop(Protocol):
    """The event loop, as far as it is needed here."""

    def call_soon(self, callback: Callable[[], None], /) -> object:
        """Call in the next turn."""


class Turns:
    """One for each event loop."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiting: deque[Callable[[], None]] = deque()
        self._read = 0
        self._scheduled = False

    def took(self, count: int) -> bool:
        """Count bytes that were read of something long; true when this turn has had enough of that."""
        self._read += count if count > LEAST else LEAST
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._next)
        return self._read >= READ_IN_TURN

    def later(self, step: Callable[[], None]) -> None:
        """Go on with `step` in a later turn, after those that have waited longer."""
        self._waiting.append(step)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        """A turn begins."""
        self._scheduled = False
        self._read = 0
        for _ in range(min(STEPS_IN_TURN, len(self._waiting))):
            self._waiting.popleft()()
        if self._waiting and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._next)
