"""The number of workers for the present load. Pure: the time is an argument."""

from __future__ import annotations

import math

from plimsoll.runtime.server.options import Scale

SMOOTHING = 0.3
"""The weight of a new measurement in the average: a peak in one report starts no worker."""


class Scaling:
    """Follows concurrency: up at once, down after fewer workers have been enough for `scale.idle` seconds."""

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self._concurrency = 0.0
        self._answered = 0
        self._last_request = -math.inf
        self._fewer_enough_since: float | None = None

    def on_wake(self, now: float) -> None:
        """A request arrived while there was no worker."""
        self._last_request = now
        self._fewer_enough_since = None
        self._concurrency = 0.0

    def wanted(self, workers: int, concurrency: float, answered: int, now: float) -> int:
        """The number of workers to have, given the present number.

        `concurrency` is the sum of the requests under way, `answered` counts requests so far, `now` is in seconds.
        """
        scale = self._scale
        if answered != self._answered or concurrency >= 1.0 or self._last_request == -math.inf:
            self._last_request = now
        self._answered = answered
        self._concurrency += SMOOTHING * (concurrency - self._concurrency)
        # Half a percent of tolerance: a concurrency at the limit of n workers must not start another one.
        needed = max(1, math.ceil(self._concurrency / scale.concurrency - 0.005))
        idle = now - self._last_request >= scale.idle
        wanted = max(scale.min, min(scale.max, 0 if idle and scale.min == 0 else needed))
        if wanted >= workers:
            self._fewer_enough_since = None
            return wanted
        if wanted == 0 and workers == 1:
            return 0
        if self._fewer_enough_since is None:
            self._fewer_enough_since = now
        if now - self._fewer_enough_since < scale.idle:
            return workers
        # One at a time: the load of the remaining workers is measured before the next one ends.
        self._fewer_enough_since = now
        return workers - 1
