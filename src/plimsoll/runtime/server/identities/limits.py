"""How much one caller may ask for. Pure but for the clock that it is given."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

from msgspec import Struct

from plimsoll.runtime.server.identities.settings import CallerLimits
from plimsoll.runtime.server.refusals import TooMany

MOST_CALLERS = 10_000
"""Callers that are remembered: of more, the one that has been quiet longest is forgotten."""


class _Account(Struct):
    """What a caller has left: requests and bytes, at a time, and its requests under way."""

    requests: float
    bytes: float
    at: float
    under_way: int = 0


class Place:
    """A request under way of a caller, which ends with `leave`, or when nothing refers to it any more."""

    __slots__ = ("_account",)

    def __init__(self, account: _Account) -> None:
        account.under_way += 1
        self._account: _Account | None = account

    def charge(self, size: int) -> None:
        """Count bytes that came after the request was let in."""
        if self._account is not None:
            self._account.bytes -= size

    def leave(self) -> None:
        """The request has ended; more than once is as good as once."""
        if self._account is not None:
            self._account.under_way -= 1
            self._account = None

    __del__ = leave
    """A task that is cancelled before it has begun never gets to its end."""


class Limiter:
    """The accounts of all callers of a process.

    What is left grows with time up to that of one second, and at least one request. A body may be larger than that: its
    caller then waits until it is paid for.
    """

    def __init__(self, limits: CallerLimits, clock: Callable[[], float], most: int = MOST_CALLERS) -> None:
        self._limits = limits
        self._clock = clock
        self._most = most
        self._accounts: OrderedDict[str, _Account] = OrderedDict()

    def __len__(self) -> int:
        return len(self._accounts)

    def enter(self, caller: str, size: int) -> Place:
        """Count a request with a body of `size` bytes. Raises TooMany, with when to try again."""
        limits, now = self._limits, self._clock()
        account = self._account(caller, now)
        if limits.concurrent and account.under_way >= limits.concurrent:
            raise TooMany(f"{limits.concurrent} requests of this caller are under way", retry_after=1)
        if limits.rate and account.requests < 1:
            wait = (1 - account.requests) / limits.rate
            raise TooMany(f"this caller may send {limits.rate:g} requests in a second", retry_after=_whole(wait))
        if limits.bytes and account.bytes <= 0:
            wait = -account.bytes / limits.bytes
            raise TooMany(f"this caller may send {limits.bytes:g} bytes in a second", retry_after=_whole(wait))
        account.requests -= 1
        account.bytes -= size
        return Place(account)

    def _account(self, caller: str, now: float) -> _Account:
        limits = self._limits
        burst = max(1.0, limits.rate)
        account = self._accounts.get(caller)
        if account is None:
            self._forget()
            account = self._accounts[caller] = _Account(burst, limits.bytes, now)
            return account
        self._accounts.move_to_end(caller)
        passed = max(0.0, now - account.at)
        account.at = now
        account.requests = min(burst, account.requests + passed * limits.rate)
        account.bytes = min(limits.bytes, account.bytes + passed * limits.bytes)
        return account

    def _forget(self) -> None:
        """Make room for one more; a caller with requests under way is not forgotten while others can be."""
        if len(self._accounts) < self._most:
            return
        quiet = next((name for name, each in self._accounts.items() if not each.under_way), None)
        del self._accounts[quiet if quiet is not None else next(iter(self._accounts))]


def _whole(seconds: float) -> int:
    return max(1, min(3600, math.ceil(seconds)))
