"""How much of a target is taken by the steps that run."""

from __future__ import annotations

from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import AnyStep

_ROUNDING = 1e-9
"""Ten times 0.1 are one core, whatever binary fractions say."""


class FreeCapacity:
    """Counts cores, memory and accelerators. A gang takes what all of its workers hold at once."""

    def __init__(self, facts: TargetFacts) -> None:
        self._facts = facts
        self.taken: dict[str, AnyStep] = {}

    def take(self, step: AnyStep) -> bool:
        """Take what the step needs, if it is free."""
        steps = [*self.taken.values(), step]
        cores = sum(one.workers * one.resources.cores for one in steps)
        memory = sum(one.workers * (one.resources.memory or 0) for one in steps)
        accelerators = sum(one.workers * one.resources.accelerators for one in steps)
        fits = (
            cores <= self._facts.cpu + _ROUNDING
            and memory <= self._facts.memory
            and accelerators <= self._facts.accelerators
        )
        if fits:
            self.taken[step.name] = step
        return fits

    def give_back(self, step: AnyStep) -> None:
        """The step has ended."""
        self.taken.pop(step.name, None)
