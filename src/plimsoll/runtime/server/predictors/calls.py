"""Calls of a function that wait, and which of them are computed together. Pure."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import islice

from msgspec import Struct

from plimsoll.runtime.tensors import Array

Tensors = dict[str, Array]
ROWS = 64
"""Rows that are computed together."""
PART = 4
"""Calls are computed together when that takes one part in so many of the time that they have, or less."""


class Call(Struct, eq=False):
    """A call that waits or is computed. `alone` is set after it failed together with others."""

    inputs: Tensors
    rows: int
    key: object
    deadline: float
    future: asyncio.Future[tuple[Tensors, int]]
    alone: bool = False
    tries: int = 0


class Job(Struct, eq=False):
    """What one process computes."""

    calls: list[Call]
    began: float
    limit: float
    timer: asyncio.TimerHandle | None = None


def grouped(inputs: Tensors) -> tuple[int, object]:
    """The rows of a call, and what must be equal for calls to be computed together; None for one without rows."""
    rows = {len(array) if array.ndim else -1 for array in inputs.values()}
    if len(rows) != 1 or (count := rows.pop()) < 1:
        return 1, None
    return count, tuple((name, array.dtype, array.shape[1:]) for name, array in inputs.items())


class Calls:
    """Those that wait, in their order."""

    def __init__(self) -> None:
        self._waiting: deque[Call] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, call: Call) -> None:
        """Have a call wait behind all others."""
        self._waiting.append(call)

    def again(self, calls: Sequence[Call]) -> None:
        """Have calls computed one by one, before all others."""
        for call in reversed(calls):
            call.alone = True
            self._waiting.appendleft(call)

    def all(self) -> list[Call]:
        """Take all."""
        calls, self._waiting = list(self._waiting), deque()
        return calls

    def take(self, usual: float, now: float) -> list[Call]:
        """The calls to compute next; those that nobody waits for any more are dropped.

        `usual` are the seconds of a usual computation. `now` is by the clock of the deadlines.
        """
        while self._waiting and self._waiting[0].future.done():
            self._waiting.popleft()
        if not self._waiting:
            return []
        first = self._waiting.popleft()
        left = first.deadline - now
        if first.key is None or first.alone or usual * PART > left:
            return [first]
        chosen, rows = [first], first.rows
        for call in islice(list(self._waiting), 4 * ROWS):
            if call.key == first.key and not call.alone and not call.future.done() and rows + call.rows <= ROWS:
                chosen.append(call)
                rows += call.rows
        if len(chosen) > 1:
            taken = set(map(id, chosen))
            self._waiting = deque(call for call in self._waiting if id(call) not in taken)
        return chosen
