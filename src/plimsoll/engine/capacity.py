"""The capacity of a target that running steps leave free."""

from __future__ import annotations

from functools import reduce

from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import AnyStep

_ROUNDING = 1e-9
"""Tolerance for binary fractions: ten times 0.1 is one core."""


Demand = tuple[str, float, int, int]
"""Of which target, cores, bytes of memory and accelerators: two steps with the same demand fit alike."""


def demand_of(step: AnyStep) -> Demand:
    """What all workers of a step use together."""
    resources, workers = step.resources, step.workers
    memory = workers * (resources.memory or 0)
    return (step.target, workers * resources.cores, memory, workers * resources.accelerators)


class FreeCapacity:
    """Counts cores, memory and accelerators, of each target by itself.

    A gang reserves the capacity of all of its workers at once.
    """

    def __init__(self, facts: TargetFacts) -> None:
        self._facts = facts
        self._used: dict[str, Demand] = {}
        self.reserved: dict[str, AnyStep] = {}

    def reserve(self, step: AnyStep) -> bool:
        """Reserve the capacity that a step needs; returns False when it does not fit."""
        facts = self._facts.of(step.target)
        used = _sum(self._used.get(step.target, _none(step)), demand_of(step))
        _, cores, memory, accelerators = used
        fits = cores <= facts.cpu + _ROUNDING and memory <= facts.memory and accelerators <= facts.accelerators
        if fits:
            self.reserved[step.name] = step
            self._used[step.target] = used
        return fits

    def release(self, step: AnyStep) -> None:
        """Free the capacity of a step that has ended."""
        self.reserved.pop(step.name, None)
        # Added up anew, because taking a fraction away again does not give what was there before.
        there = (demand_of(each) for each in self.reserved.values() if each.target == step.target)
        self._used[step.target] = reduce(_sum, there, _none(step))


def _none(step: AnyStep) -> Demand:
    return (step.target, 0.0, 0, 0)


def _sum(one: Demand, other: Demand) -> Demand:
    return (one[0], one[1] + other[1], one[2] + other[2], one[3] + other[3])
