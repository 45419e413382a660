"""A request that is read in a thread: how long somebody waits for it, and the memory that it takes."""

from __future__ import annotations

import time

from plimsoll.runtime.server.memory import Memory


class Reading:
    """The limits of one request while it is read. Used as a context, it gives the memory back at its end."""

    def __init__(self, memory: Memory, deadline: float) -> None:
        """`deadline` is a time of `time.perf_counter`."""
        self._memory = memory
        self._deadline = deadline
        self._reserved = 0

    def still_wanted(self) -> None:
        """Raise TimeoutError when nobody waits any more; called between two steps of a few milliseconds."""
        if time.perf_counter() > self._deadline:
            raise TimeoutError

    def reserve(self, count: int) -> None:
        """Count bytes before they are allocated. Raises Busy, TooLarge."""
        self._memory.reserve(count)
        self._reserved += count

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, *_: object) -> None:
        self._memory.change(-self._reserved)
