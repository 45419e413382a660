"""Which of several replicas of a language model answers a request. Pure: loads and what is up are arguments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from plimsoll.llms.prefixes import MOST_KNOWN, Prefixes

Routing = Literal["prefix", "load"]
"""By what is known of a request's beginning within the bound on loads, or by loads alone."""
Why = Literal["prefix", "load", "new"]
"""A replica knows the beginning and gets it; those that know it have too much to do; nobody knows it."""
SPREAD = 1.25
"""How much more than its share a replica may have to do, for what it knows.

Source: consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam), which calls it c.
"""


class Chosen(Struct, frozen=True):
    """The replica, and why it is this one."""

    replica: int
    why: Why


class Router:
    """Chooses for one language model. What it remembers is bounded by `most` blocks."""

    def __init__(self, replicas: int, routing: Routing = "prefix", most: int = MOST_KNOWN) -> None:
        self._replicas = replicas
        self._by_prefix = routing == "prefix"
        self._last = replicas - 1
        self.known = Prefixes(most)

    @property
    def looks_at_beginnings(self) -> bool:
        """Whether it wants the blocks of a request at all."""
        return self._by_prefix and self._replicas > 1

    def choose(self, blocks: Sequence[int], loads: Sequence[int], up: Sequence[int]) -> Chosen:
        """The replica for a request. `loads` are requests that each has, `up` are those to choose from, one or more.

        Of those that know the beginning the one that knows most of it is chosen, unless it has more than its share to
        do; without any that has the least, in turn where several have.
        """
        most = math.ceil(SPREAD * (sum(loads[each] for each in up) + 1) / len(up))
        readers = [each for each in self.known.readers(blocks) if each in up]
        replica = next((each for each in readers if loads[each] < most), None)
        why: Why = "prefix" if replica is not None else "load" if readers else "new"
        if replica is None:
            replica = min(up, key=lambda each: (loads[each], (each - self._last - 1) % self._replicas))
        self._last = replica
        self.began(blocks, replica)
        return Chosen(replica, why)

    def began(self, blocks: Sequence[int], replica: int) -> None:
        """A request is for this replica now, whichever was chosen first."""
        if blocks:
            self.known.remember(blocks, replica)

    def forget(self, replica: int) -> None:
        """A replica has ended: one that comes in its place knows nothing."""
        self.known.forget(replica)
