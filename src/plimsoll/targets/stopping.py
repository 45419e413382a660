"""An event that is a question: it is set as soon as a function says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_TICK = 0.1
"""Seconds between two times at which the function is asked."""


class StoppedWhen(threading.Event):
    """Set when the function says so; waiting for it asks the function now and then."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        super().__init__()
        self._stopped = stopped

    def is_set(self) -> bool:
        """Whether the function says so now."""
        return self._stopped()

    def wait(self, timeout: float | None = None) -> bool:
        """Whether the function says so within the time."""
        deadline = time.monotonic() + (timeout if timeout is not None else float("inf"))
        while not self._stopped() and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _TICK))
        return self._stopped()
