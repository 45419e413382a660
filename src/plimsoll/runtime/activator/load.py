"""How many requests are under way, on average over some seconds. Pure but for the clock that it is given."""

from __future__ import annotations

from collections.abc import Callable

WINDOW = 10
"""Seconds that the average looks back: longer than an autoscaler's round, so that short requests between two of its
questions are seen."""
LEAST = 0.001
"""What one request in the window counts at least, however short it was."""


class Load:
    """Counts requests as they begin and end; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self._seconds: dict[int, float] = {}
        """Requests under way times their time, by second of the clock; only of seconds that had any."""
        self.under_way = 0

    def began(self) -> None:
        """One more is under way."""
        self._turn(1)

    def ended(self) -> None:
        """One is answered, or has gone."""
        self._turn(-1)

    def average(self) -> float:
        """Requests under way on average over the window; 0 only when there was none in it."""
        now = self._turn(0)
        self._seconds = {second: busy for second, busy in self._seconds.items() if second >= now - WINDOW}
        if not self._seconds and not self.under_way:
            return 0.0
        return max(sum(self._seconds.values()) / WINDOW, LEAST)

    def _turn(self, more: int) -> float:
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
