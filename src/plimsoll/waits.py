"""What is waited for now, so that whoever waits at a terminal is told: nothing is waited for in silence.

Whatever may wait for seconds says so by `waiting_for`; a command line says by `tell_waits` where it is told. Where
nobody listens, nothing is kept.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FIRST = 4.0
"""Seconds after which a wait is told."""
AGAIN = 30.0
"""Seconds after which a wait that goes on is told again."""
_LOOK = 0.5


class _Listener:
    """One who is told. Its thread begins with the first wait: most commands have none."""

    def __init__(self, tell: Callable[[str], None], first: float) -> None:
        self._tell = tell
        self._first = first
        self._lock = threading.Lock()
        self._waits: dict[int, tuple[float, Callable[[], str]]] = {}
        self._numbers = itertools.count()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, words: Callable[[], str]) -> int:
        with self._lock:
            number = next(self._numbers)
            self._waits[number] = time.monotonic(), words
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, daemon=True, name="waits")
                self._thread.start()
            return number

    def end(self, number: int) -> None:
        with self._lock:
            self._waits.pop(number, None)

    def close(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self) -> None:
        last, at = "", 0.0
        while not self._over.wait(min(_LOOK, self._first / 4)):
            now = time.monotonic()
            with self._lock:
                due = [words for since, words in self._waits.values() if now - since >= self._first]
            # The newest of several is the one that the others wait for in their turn.
            text = f"waiting for {due[-1]()}" if due else ""
            if text and (text != last or now - at >= AGAIN):
                self._tell(text)
                last, at = text, now


_listeners: list[_Listener] = []


@contextmanager
def waiting_for(words: str | Callable[[], str]) -> Iterator[None]:
    """Whatever the block waits for, in words that complete "waiting for …"; a function is asked when it is told."""
    if not _listeners:
        yield
        return
    listener = _listeners[-1]
    number = listener.begin(words if callable(words) else lambda: words)
    try:
        yield
    finally:
        listener.end(number)


@contextmanager
def tell_waits(tell: Callable[[str], None], first: float = FIRST) -> Iterator[None]:
    """Have a function told of each wait of the block that lasts, again when its words change, and when it goes on."""
    listener = _Listener(tell, first)
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
        listener.close()
