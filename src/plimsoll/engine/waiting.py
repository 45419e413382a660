"""The steps of a plan that have not begun yet, and whose turn it is. Pure.

A step is looked at again only when something that it needs has ended, or when it waits for capacity and is the first
of those that ask for the same: the cost of an end does not grow with the number of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import heappop, heappush

from plimsoll.engine.capacity import Demand, demand_of
from plimsoll.planning.steps import AnyStep


class WaitingSteps:
    """Waiting steps, by their positions in the plan. False when none is left."""

    def __init__(self, steps: Iterable[AnyStep]) -> None:
        self._steps: list[AnyStep] = []
        self._left: dict[int, AnyStep] = {}
        self._missing: list[set[str]] = []
        self._dependents: dict[str, list[int]] = {}
        self._blockers: dict[int, str] = {}
        self._turns: list[int] = []
        self._parked: dict[Demand, list[int]] = {}
        self.add(steps, {})

    def __bool__(self) -> bool:
        return bool(self._left)

    def add(self, steps: Iterable[AnyStep], ended: Mapping[str, str]) -> None:
        """More steps, behind those that are there. `ended` has the states of the steps that have ended already."""
        for step in steps:
            position = len(self._steps)
            missing = {name for name in step.needs if ended.get(name) != "done"}
            self._steps.append(step)
            self._left[position] = step
            self._missing.append(missing)
            for name in missing:
                self._dependents.setdefault(name, []).append(position)
            if not missing:
                heappush(self._turns, position)
            for name in missing & ended.keys():
                self.settled(name, ended[name])

    def settled(self, name: str, state: str) -> None:
        """Take note that a step has ended: those that need it are nearer to their turn, or are not to run."""
        for position in self._dependents.pop(name, ()):
            if state != "done":
                if position not in self._blockers:
                    self._blockers[position] = f"{name} {state}"
                    heappush(self._turns, position)
                continue
            self._missing[position].discard(name)
            if not self._missing[position]:
                heappush(self._turns, position)

    def turns(self, fits: Callable[[AnyStep], bool]) -> Iterator[tuple[AnyStep, str]]:
        """Take out, in the plan's order, each step whose turn it is: those that fit, and those that are not to run.

        The text of the latter says which step that they need has ended, and how. Steps that are settled between two
        turns count at once. `fits` is not asked again for a demand that it has refused.
        """
        refused: set[Demand] = set()
        for demand in list(self._parked):
            self._look_at_next(demand)
        while self._turns:
            position = heappop(self._turns)
            step = self._steps[position]
            if position not in self._blockers:
                demand = demand_of(step)
                if demand in refused or not fits(step):
                    refused.add(demand)
                    heappush(self._parked.setdefault(demand, []), position)
                    continue
                self._look_at_next(demand)
            del self._left[position]
            yield step, self._blockers.get(position, "")

    def take_all(self) -> Iterator[tuple[AnyStep, str]]:
        """Take out all that are left, each with the first step that it still needs, if any."""
        left, self._left, self._turns, self._parked = self._left, {}, [], {}
        for position, step in left.items():
            yield step, next((name for name in step.needs if name in self._missing[position]), "")

    def _look_at_next(self, demand: Demand) -> None:
        """Look once more at the first of the steps that wait for this capacity."""
        if parked := self._parked.get(demand):
            heappush(self._turns, heappop(parked))
        else:
            self._parked.pop(demand, None)
