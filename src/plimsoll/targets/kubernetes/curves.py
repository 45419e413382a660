"""The curve of a training while its pods run: the points that they have left in the registry, brought to this machine.

The live page, `plimsoll status` and early stopping read them there, as they read the points of earlier attempts.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from plimsoll.errors import PlimsollError
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.kubernetes.results import RegistryResults

PERIOD = 2.0
"""Seconds between two looks: pods push their points no more often."""
REST = 4.0
"""Looks are so many times as far apart as one takes: a slow registry is not asked without a pause."""


def read_series(state: StateDirectory, key: str, series: str) -> tuple[tuple[float, float], ...]:
    """The points of one series that are on this machine."""
    return state.curve(key).get(series, ())


@contextlib.contextmanager
def followed_curve(results: RegistryResults, key: str, state: StateDirectory) -> Iterator[None]:
    """Have the points of a training on this machine while the block runs, as they come."""
    over = threading.Event()
    thread = threading.Thread(target=_follow, args=(results, key, state, over), daemon=True, name="curve")
    thread.start()
    try:
        yield
    finally:
        over.set()
        # A look that is under way must not write after others have begun the curve anew.
        thread.join(PERIOD)


def _follow(results: RegistryResults, key: str, state: StateDirectory, over: threading.Event) -> None:
    known, wait = "", PERIOD
    while not over.wait(wait):
        began = time.monotonic()
        # A curve is worth no failure: what cannot be read now is read at the next look.
        with contextlib.suppress(PlimsollError, OSError):
            known = results.fetch_points(key, state, known)
        wait = max(PERIOD, REST * (time.monotonic() - began))
