"""Whose turn it is: as many answers at once as the engine has slots, the others in the order in which they came."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Callable

from plimsoll.runtime.server.refusals import Busy


def _always(_: int) -> bool:
    return True


class Gate:
    """A gate for one language model; used in the event loop alone.

    Each of its replicas has slots and a line of its own, so that a request may wait for the one that knows its
    beginning. No request waits while a replica that is up has nothing to do: that one takes the first of the longest
    line.
    """

    def __init__(self, slots: int, queue: int, replicas: int = 1, is_up: Callable[[int], bool] = _always) -> None:
        """`slots` are of each replica; `queue` is for all lines together."""
        self._free = [slots] * replicas
        self._slots = slots
        self._queue = queue
        self._is_up = is_up
        self._lines: list[deque[asyncio.Future[int]]] = [deque() for _ in range(replicas)]
        self._seconds = 1.0
        """How long an answer took lately."""

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return sum(map(len, self._lines))

    @property
    def inside(self) -> int:
        """Requests that are being answered."""
        return self._slots * len(self._free) - sum(self._free)

    @property
    def loads(self) -> list[int]:
        """Requests of each replica: those that are being answered and those that wait for it."""
        return [self._slots - free + len(line) for free, line in zip(self._free, self._lines, strict=True)]

    async def enter(self, replica: int = 0, *, again: bool = False) -> int:
        """Wait for a slot of this replica; the one that has given it, which may be another.

        Raises Busy at once when too many wait already, unless it is `again` the turn of one that was let in before.
        """
        place = self._at_once(replica)
        if place is None and self.waiting >= self._queue and not again:
            place = self._any()
        if place is not None:
            self._free[place] -= 1
            return place
        turn: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._lines[replica].append(turn)
        try:
            return await turn
        except BaseException:  # also when the client has gone: a slot that was just given is the next one's
            if turn.done() and not turn.cancelled():
                self._give(turn.result())
            else:
                with contextlib.suppress(ValueError):
                    self._lines[replica].remove(turn)
            raise

    def leave(self, seconds: float, replica: int = 0) -> None:
        """Free the slot of an answer that took so long."""
        self._seconds += 0.2 * (seconds - self._seconds)
        self._give(replica)

    def _at_once(self, replica: int) -> int | None:
        """A replica with a slot for this request now."""
        if self._free[replica] > 0 and not self._lines[replica]:
            return replica
        return next((each for each in range(len(self._free)) if self._is_idle(each)), None)

    def _any(self) -> int:
        """A replica with a slot: rather one that knows nothing of a request than none. Raises Busy."""
        free = [each for each, slots in enumerate(self._free) if slots > 0 and self._is_up(each)]
        if free:
            return max(free, key=lambda each: self._free[each])
        expected = self._seconds * (self.waiting + 1) / (self._slots * len(self._free))
        reason = f"{self.waiting} requests wait for this model already, and more are refused"
        raise Busy(reason, retry_after=max(1, min(60, math.ceil(expected))))

    def _is_idle(self, replica: int) -> bool:
        return self._free[replica] == self._slots and not self._lines[replica] and self._is_up(replica)

    def _give(self, replica: int) -> None:
        """Give a slot that has become free to the next of its line, or of another's when it has nothing to do."""
        if self._next(self._lines[replica], replica):
            return
        self._free[replica] += 1
        if self._is_idle(replica) and self._next(max(self._lines, key=len), replica):
            self._free[replica] -= 1

    @staticmethod
    def _next(line: deque[asyncio.Future[int]], replica: int) -> bool:
        while line:
            turn = line.popleft()
            if not turn.done():
                turn.set_result(replica)
                return True
        return False
