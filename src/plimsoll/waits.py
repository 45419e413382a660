"""What is waited for now, so that whoever waits at a terminal is told: nothing is waited for in silence.

Whatever may wait for seconds says so by `waiting_for`; a command line says by `tell_waits` where it is told. Libraries
that nobody listens to pay a few microseconds.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

FIRST = 4.0
"""Seconds after which a wait is told."""
AGAIN = 30.0
"""Seconds after which a wait that goes on is told again."""
_LOOK = 0.5


class _Wait(NamedTuple):
    words: Callable[[], str]
    since: float


_lock = threading.Lock()
_waits: dict[int, _Wait] = {}
_numbers = itertools.count()
_tellers: list[Callable[[str], None]] = []


@contextmanager
def waiting_for(words: str | Callable[[], str]) -> Iterator[None]:
    """Whatever the block waits for, in words that complete "waiting for …"; a function is asked when it is told."""
    if not _tellers:
        yield
        return
    number = next(_numbers)
    with _lock:
        _waits[number] = _Wait(words=words if callable(words) else lambda: words, since=time.monotonic())
    try:
        yield
    finally:
        with _lock:
            _waits.pop(number, None)


@contextmanager
def tell_waits(tell: Callable[[str], None], first: float = FIRST) -> Iterator[None]:
    """Have a function told of each wait of the block that lasts, and again when its words change or it goes on."""
    over = threading.Event()
    thread = threading.Thread(target=_look, args=(tell, first, over), daemon=True, name="waits")
    _tellers.append(tell)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        _tellers.remove(tell)


def _look(tell: Callable[[str], None], first: float, over: threading.Event) -> None:
    last, last_at = "", 0.0
    while not over.wait(min(_LOOK, first / 4)):
        now = time.monotonic()
        with _lock:
            # The newest of several is the one that the others wait for in their turn.
            due = [each for each in _waits.values() if now - each.since >= first]
        if not due:
            continue
        text = f"waiting for {due[-1].words()}"
        if text != last or now - last_at >= AGAIN:
            tell(text)
            last, last_at = text, now
