"""Looks at both sides again and again, and has the route lead where requests are answered."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from plimsoll.errors import TargetError
from plimsoll.runtime.failover.judging import Judge, Sides
from plimsoll.runtime.failover.route import Route

LOOK = 1.0
"""Seconds between two looks."""
VERIFIED = 5.0
"""Seconds after which the route is read again although nothing is to be moved: somebody may have changed it."""

Look = Callable[[], Awaitable[Sides]]


class Mover:
    """Moves the requests of one service. `sides` is what was seen last, None before the first look."""

    def __init__(self, judge: Judge, route: Route, look: Look) -> None:
        self.judge = judge
        self.sides: Sides | None = None
        self.on_move: Callable[[], object] = lambda: None
        """Called after each move."""
        self._route = route
        self._look = look
        self._told = ""
        self._since = ""
        self._verified = float("-inf")
        self._known = False

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            began = time.monotonic()
            await self.step(began)
            await asyncio.sleep(max(0.0, LOOK - (time.monotonic() - began)))

    async def step(self, now: float) -> None:
        """One look, and what follows from it. While the API server does not answer, requests go where they went."""
        self.sides = await self._look()
        try:
            if not self._known:
                # What the process before this one decided holds on.
                self.judge.leads = await asyncio.to_thread(self._route.leads)
                self._known = True
            before = self.judge.leads
            if self.judge.see(now, self.sides) != before:
                self._moved()
            if self.judge.leads != before or now - self._verified >= VERIFIED:
                self._verified = float("-inf")
                await asyncio.to_thread(self._route.settle, self._state())
                self._verified = now
        except TargetError as error:
            self._tell(f"the route stays as it is: {error.on_one_line()}")
        else:
            self._told = ""

    def _state(self) -> dict[str, str] | None:
        if not self.judge.leads:
            return None
        return {"since": self._since or _now(), "why": self.judge.why}

    def _moved(self) -> None:
        self.on_move()
        self._since = _now() if self.judge.leads else ""
        where = "the standby" if self.judge.leads else "its own servers"
        sys.stderr.write(f"{_now()} requests go to {where}: {self.judge.why}\n")
        sys.stderr.flush()

    def _tell(self, reason: str) -> None:
        """Say what is wrong, once for each reason."""
        if reason != self._told:
            self._told = reason
            sys.stderr.write(f"{_now()} {reason}\n")
            sys.stderr.flush()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
