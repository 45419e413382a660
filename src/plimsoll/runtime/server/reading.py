"""A request that is read in a thread: how long somebody waits for it, and the memory that it takes."""

from __future__ import annotations

import time

from plimsoll.runtime.server.memory import Memory
from plimsoll.runtime.server.refusals import Refusal


class Reading:
    """The limits of one request while it is read. Used as a context, it gives the memory back at its end."""

    def __init__(self, memory: Memory, deadline: float, share: Memory | None = None) -> None:
        """`deadline` is a time of `time.perf_counter`, `share` what its caller may hold of the memory."""
        self._memory = memory
        self._share = share
        self._deadline = deadline
        self._reserved = 0

    def still_wanted(self) -> None:
        """Raise TimeoutError when nobody waits any more; called between two steps of a few milliseconds."""
        if time.perf_counter() > self._deadline:
            raise TimeoutError

    def reserve(self, count: int) -> None:
        """Count bytes before they are allocated. Raises Busy, TooLarge, TooMany."""
        if self._share is not None:
            self._share.reserve(count)
        try:
            self._memory.reserve(count)
        except Refusal:
            if self._share is not None:
                self._share.change(-count)
            raise
        self._reserved += count

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, *_: object) -> None:
        self._memory.change(-self._reserved)
        if self._share is not None:
            self._share.change(-self._reserved)
