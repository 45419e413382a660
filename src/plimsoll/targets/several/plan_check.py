"""What the targets of a run will refuse: each of its own steps, and a registry in which rows would not stay apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from plimsoll.planning.capacity import Shortfall
from plimsoll.state.directory import LOCAL
from plimsoll.targets.features import EXCHANGE, PLAN_CHECK

if TYPE_CHECKING:
    from plimsoll.planning.steps import Plan
    from plimsoll.targets.several.target import SeveralTarget


def problems(plan: Plan, target: SeveralTarget) -> Sequence[Shortfall]:
    """All of them. Of a target that does not answer nothing is known."""
    found: list[Shortfall] = []
    for part in target.answering():
        steps = tuple(step for step in plan.steps if (step.target or LOCAL) == part.name)
        if steps and PLAN_CHECK in part.features:
            found += part.features.require(PLAN_CHECK)(replace(plan, target=part.name, steps=steps))
    return [*found, *_shared_registries(plan, target)]


def _shared_registries(plan: Plan, target: SeveralTarget) -> Iterator[Shortfall]:
    """Steps whose rows stay on a target that has its results where another target has its own."""
    if not any(step.stays for step in plan.steps):
        return
    used = {step.target for step in plan.steps if step.target and step.target != LOCAL}
    parts = {part.name: part for part in target.answering() if part.name in used}
    registries = {name: part.features.require(EXCHANGE).registry for name, part in parts.items()}
    for step in plan.steps:
        own = registries.get(step.stays, "")
        other = next((name for name, each in registries.items() if own and name != step.stays and each == own), None)
        if other is None:
            continue
        stay, beside = target.names.get(step.stays, step.stays), target.names.get(other, other)
        yield Shortfall(
            step=step.name,
            setting=(),
            at_key=True,
            message=f"rows of {step.name} stay on {stay}, whose registry {own} is that of {beside} too",
            remedy=f"give {stay} a registry of its own: targets: {{{stay}: {{…, route: HOST/PATH}}}}",
        )
        return
