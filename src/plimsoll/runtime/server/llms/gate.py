"""Whose turn it is: as many answers at once as the engine has slots, the others in the order in which they came."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque

from plimsoll.runtime.server.refusals import Busy


class Gate:
    """A gate for one language model; used in the event loop alone."""

    def __init__(self, slots: int, queue: int) -> None:
        self._free = slots
        self._slots = slots
        self._queue = queue
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._seconds = 1.0
        """How long an answer took lately."""

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    @property
    def inside(self) -> int:
        """Requests that are being answered."""
        return self._slots - self._free

    async def enter(self) -> None:
        """Wait for a slot. Raises Busy at once when too many wait already."""
        if self._free > 0 and not self._waiting:
            self._free -= 1
            return
        if len(self._waiting) >= self._queue:
            expected = self._seconds * (len(self._waiting) + 1) / self._slots
            reason = f"{len(self._waiting)} requests wait for this model already, and more are refused"
            raise Busy(reason, retry_after=max(1, min(60, math.ceil(expected))))
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:  # also when the client has gone: a slot that was just given is the next one's
            if turn.done() and not turn.cancelled():
                self._give()
            else:
                with contextlib.suppress(ValueError):
                    self._waiting.remove(turn)
            raise

    def leave(self, seconds: float) -> None:
        """Free the slot of an answer that took so long."""
        self._seconds += 0.2 * (seconds - self._seconds)
        self._give()

    def _give(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
