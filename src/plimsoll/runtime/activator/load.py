"""The average number of concurrent requests over some seconds. Pure, except for the clock that the caller passes."""

from __future__ import annotations

from collections.abc import Callable

WINDOW = 10
"""Seconds of the average: longer than an autoscaler's polling interval, so that short requests between two polls
count."""
MIN_LOAD = 0.001
"""The least load of one request in the window, however short it was."""


class LoadAverage:
    """Averages the number of concurrent requests. `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self._seconds: dict[int, float] = {}
        """Busy seconds (requests times time) by second of the clock; only seconds that had requests."""
        self.under_way = 0

    def request_began(self) -> None:
        """Count one more running request."""
        self._advance(1)

    def request_ended(self) -> None:
        """Count one running request less: it got a response or was cancelled."""
        self._advance(-1)

    def average(self) -> float:
        """The average number of running requests in the window; 0 only when it had none."""
        now = self._advance(0)
        self._seconds = {second: busy for second, busy in self._seconds.items() if second >= now - WINDOW}
        if not self._seconds and not self.under_way:
            return 0.0
        return max(sum(self._seconds.values()) / WINDOW, MIN_LOAD)

    def _advance(self, more: int) -> float:
        now = self._clock()
        begin = max(self._since, now - WINDOW)
        while self.under_way and begin < now:
            second = int(begin)
            end = min(second + 1.0, now)
            self._seconds[second] = self._seconds.get(second, 0.0) + (end - begin) * self.under_way
            begin = end
        self.under_way += more
        if self.under_way:
            self._seconds.setdefault(int(now), 0.0)
        self._since = now
        return now
