"""How much of a target is taken by the steps that run."""

from __future__ import annotations

from plimsoll.planning.facts import Facts
from plimsoll.planning.steps import Step

_ROUNDING = 1e-9
"""Ten shares of 0.1 are one core, whatever binary fractions say."""


class Room:
    """Counts cores, memory and accelerators. A gang takes all of its workers' shares at once."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self.taken: dict[str, Step] = {}

    def take(self, step: Step) -> bool:
        """Take what the step needs, if it is free."""
        steps = [*self.taken.values(), step]
        cores = sum(one.workers * one.share.cores for one in steps)
        memory = sum(one.workers * (one.share.memory or 0) for one in steps)
        accelerators = sum(one.workers * one.share.accelerators for one in steps)
        fits = (
            cores <= self._facts.cpu + _ROUNDING
            and memory <= self._facts.memory
            and accelerators <= self._facts.accelerators
        )
        if fits:
            self.taken[step.name] = step
        return fits

    def give_back(self, step: Step) -> None:
        """The step has ended."""
        self.taken.pop(step.name, None)
