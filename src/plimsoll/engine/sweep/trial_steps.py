"""The steps of trials in one run: equal keys share a step, the others get the number of their trial. Pure."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from plimsoll.planning.steps import AnyStep, Plan


class TrialSteps:
    """Names for the steps of all trials. Equal keys give equal results, so that one step serves all that need it."""

    def __init__(self, searched: Collection[str]) -> None:
        self._searched = searched
        self._names: dict[str, str] = {}

    def of_trial(self, plan: Plan, number: int) -> tuple[list[AnyStep], dict[str, str]]:
        """The steps of a trial that no trial before it has, and the names here of all steps of its plan."""
        return self._named(plan, f".{number}")

    def of_winner(self, plan: Plan) -> tuple[list[AnyStep], dict[str, str]]:
        """As `of_trial`, for steps that only one trial has: they keep the names that they have in the plan."""
        return self._named(plan, "")

    def _named(self, plan: Plan, mark: str) -> tuple[list[AnyStep], dict[str, str]]:
        names: dict[str, str] = {}
        varying: set[str] = set()
        new: list[AnyStep] = []
        for step in plan.steps:
            if self._varies(step) or not varying.isdisjoint(step.needs):
                varying.add(step.name)
            if step.key not in self._names:
                part = f"{step.part}{mark}" if step.name in varying else step.part
                named = replace(step, part=part, needs=tuple(names[name] for name in step.needs))
                new.append(named)
                self._names[step.key] = named.name
            names[step.name] = self._names[step.key]
        return new, names

    def _varies(self, step: AnyStep) -> bool:
        return any(part.kind == "parameter" and part.name in self._searched for part in step.ingredients)
