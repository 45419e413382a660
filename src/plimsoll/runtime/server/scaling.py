"""How many workers there should be. Pure: the time is an argument."""

from __future__ import annotations

import math

from plimsoll.runtime.server.options import Scale

SMOOTHING = 0.3
"""How much of a new measurement goes into the average: a spike of one report starts nobody."""


class Scaling:
    """Follows concurrency: up at once, down when fewer have been enough for `scale.idle` seconds."""

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self._concurrency = 0.0
        self._answered = 0
        self._last_request = -math.inf
        self._enough_since: float | None = None

    def woken(self, now: float) -> None:
        """A request has come while there was nobody."""
        self._last_request = now
        self._enough_since = None
        self._concurrency = 0.0

    def wanted(self, workers: int, concurrency: float, answered: int, now: float) -> int:
        """The number of workers, from how many there are.

        `concurrency` is the sum of the requests under way, `answered` counts requests so far, `now` is in seconds.
        """
        scale = self._scale
        if answered != self._answered or concurrency >= 1.0 or self._last_request == -math.inf:
            self._last_request = now
        self._answered = answered
        self._concurrency += SMOOTHING * (concurrency - self._concurrency)
        # Half a per cent of grace: exactly as many as one may have are not one too many.
        needed = max(1, math.ceil(self._concurrency / scale.concurrency - 0.005))
        idle = now - self._last_request >= scale.idle
        wanted = max(scale.min, min(scale.max, 0 if idle and scale.min == 0 else needed))
        if wanted >= workers:
            self._enough_since = None
            return wanted
        if wanted == 0 and workers == 1:
            return 0
        if self._enough_since is None:
            self._enough_since = now
        if now - self._enough_since < scale.idle:
            return workers
        # One at a time: each that goes makes the others' load known before the next.
        self._enough_since = now
        return workers - 1
