"""Messages on their way to the server: how long one may take, and how many may take long.

gRPC tells nobody how long a message is before all of it has arrived. So the time of a call begins with its first byte,
and messages that take long have as many places as the largest messages fit into the memory of all requests: of more,
the one that has waited longest is ended, so that many slow clients keep no other client out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from plimsoll.runtime.server.data_plane import Limits
from plimsoll.runtime.server.refusals import BadInput, Busy, DeadlinePassed

SLOW = 1.0
"""Seconds after which a message takes long."""
_TRY_AGAIN = 1
Received = Any
"""What the library gives for a message: its bytes, or an object that says that there is none."""


class _Arrival(Struct, eq=False):
    limit: asyncio.Timeout
    evicted: bool = False


class Arrivals:
    """The messages that are on their way to one server."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.queue
        self._seconds = limits.seconds
        self._places = max(1, limits.memory // limits.body)
        self._under_way = 0
        self._slow: list[_Arrival] = []

    async def message(self, receive: Callable[[], Awaitable[Received]]) -> bytes:
        """The bytes of a call's message. Raises BadInput when there is none, Busy, DeadlinePassed."""
        if self._under_way >= self._most:
            raise Busy(f"{self._under_way} requests are on their way to the server", retry_after=_TRY_AGAIN)
        arrival = _Arrival(asyncio.timeout(self._seconds))
        becomes_slow = asyncio.get_running_loop().call_later(SLOW, self._took_long, arrival)
        self._under_way += 1
        try:
            async with arrival.limit:
                found = await receive()
        except TimeoutError as late:
            if arrival.evicted:
                reason = f"more than {self._places} requests take longer than {SLOW:g} s to arrive"
                raise Busy(reason, retry_after=_TRY_AGAIN) from late
            raise DeadlinePassed(f"the request did not arrive within {self._seconds:g} s") from late
        finally:
            self._under_way -= 1
            becomes_slow.cancel()
            if arrival in self._slow:
                self._slow.remove(arrival)
        if not isinstance(found, bytes):
            raise BadInput("the call has no message")
        return found

    def _took_long(self, arrival: _Arrival) -> None:
        self._slow.append(arrival)
        if len(self._slow) > self._places:
            longest = self._slow.pop(0)
            longest.evicted = True
            longest.limit.reschedule(asyncio.get_running_loop().time())
