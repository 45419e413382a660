"""The capacity of a target that running steps leave free."""

from __future__ import annotations

from functools import reduce

from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import AnyStep

_ROUNDING = 1e-9
"""Tolerance for binary fractions: ten times 0.1 is one core."""


Demand = tuple[float, int, int]
"""Cores, bytes of memory and accelerators: two steps with the same demand fit alike."""


def demand_of(step: AnyStep) -> Demand:
    """What all workers of a step use together."""
    resources, workers = step.resources, step.workers
    return (workers * resources.cores, workers * (resources.memory or 0), workers * resources.accelerators)


class FreeCapacity:
    """Counts cores, memory and accelerators. A gang reserves the capacity of all of its workers at once."""

    def __init__(self, facts: TargetFacts) -> None:
        self._facts = facts
        self._used: Demand = (0.0, 0, 0)
        self.reserved: dict[str, AnyStep] = {}

    def reserve(self, step: AnyStep) -> bool:
        """Reserve the capacity that a step needs; returns False when it does not fit."""
        used = _sum(self._used, demand_of(step))
        cores, memory, accelerators = used
        fits = (
            cores <= self._facts.cpu + _ROUNDING
            and memory <= self._facts.memory
            and accelerators <= self._facts.accelerators
        )
        if fits:
            self.reserved[step.name] = step
            self._used = used
        return fits

    def release(self, step: AnyStep) -> None:
        """Free the capacity of a step that has ended."""
        self.reserved.pop(step.name, None)
        # Added up anew, because taking a fraction away again does not give what was there before.
        self._used = reduce(_sum, map(demand_of, self.reserved.values()), (0.0, 0, 0))


def _sum(one: Demand, other: Demand) -> Demand:
    return (one[0] + other[0], one[1] + other[1], one[2] + other[2])
