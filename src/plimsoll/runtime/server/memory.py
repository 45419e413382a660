"""The memory that requests under way may hold together: bodies that arrive or wait, and tensors that are read."""

from __future__ import annotations

import threading

from plimsoll.runtime.server.refusals import Busy, TooLarge


class Memory:
    """A budget in bytes for all requests of a process. Small requests that are answered at once are not counted."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self._lock = threading.Lock()

    def change(self, difference: int) -> bool:
        """Count bytes that are held already, or given back when negative; false when they are more than the limit."""
        with self._lock:
            self.held += difference
            return self.held <= self.limit

    def reserve(self, count: int) -> None:
        """Count bytes before they are allocated; give them back with `change`. Raises Busy, TooLarge."""
        if count > self.limit:
            raise TooLarge(f"the tensors of the request need {count} bytes, all requests together have {self.limit}")
        with self._lock:
            if self.held + count > self.limit:
                reason = f"the requests under way hold {self.held} of {self.limit} bytes, this one needs {count}"
                raise Busy(reason, retry_after=1)
            self.held += count
