"""The capacity of a target that running steps leave free."""

from __future__ import annotations

from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import AnyStep

_ROUNDING = 1e-9
"""Tolerance for binary fractions: ten times 0.1 is one core."""


class FreeCapacity:
    """Counts cores, memory and accelerators. A gang reserves the capacity of all of its workers at once."""

    def __init__(self, facts: TargetFacts) -> None:
        self._facts = facts
        self.reserved: dict[str, AnyStep] = {}

    def reserve(self, step: AnyStep) -> bool:
        """Reserve the capacity that a step needs; returns False when it does not fit."""
        steps = [*self.reserved.values(), step]
        cores = sum(one.workers * one.resources.cores for one in steps)
        memory = sum(one.workers * (one.resources.memory or 0) for one in steps)
        accelerators = sum(one.workers * one.resources.accelerators for one in steps)
        fits = (
            cores <= self._facts.cpu + _ROUNDING
            and memory <= self._facts.memory
            and accelerators <= self._facts.accelerators
        )
        if fits:
            self.reserved[step.name] = step
        return fits

    def release(self, step: AnyStep) -> None:
        """Free the capacity of a step that has ended."""
        self.reserved.pop(step.name, None)
