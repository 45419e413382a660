"""How far the steps of a plan are kept apart on their targets. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.application.isolation import Level
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import AnyStep, Plan


def level_of(step: AnyStep, facts: TargetFacts) -> Level:
    """The level of a step on its target: what the file asks for, or without that what the target can."""
    if step.isolation is not None:
        return step.isolation.level
    return "process" if facts.isolation is not None and facts.isolation.by else "none"


def isolation_levels(plan: Plan, facts: TargetFacts) -> Mapping[str, Level]:
    """The levels of all steps of which there is something to tell, by their names."""
    found = {}
    for step in plan.steps:
        there = facts.of(step.target).isolation
        if step.work.is_isolated and there is not None and (step.isolation is not None or not there.always):
            found[step.name] = level_of(step, facts.of(step.target))
    return found
