"""What travels between targets when a plan is carried out: by which digest, and how many bytes, as far as is known."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from plimsoll.engine.preparation import Prepared
from plimsoll.errors import PlimsollError
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.placement import journeys
from plimsoll.planning.steps import AnyStep
from plimsoll.state.directory import LOCAL
from plimsoll.targets.exchange import Content
from plimsoll.targets.features import EXCHANGE
from plimsoll.targets.several.target import SeveralTarget


class Travelling(Struct, frozen=True, kw_only=True):
    """The result of a step on its way from one target to another. `size` is in bytes, None for what is not made yet.

    `there` is set for what the other target has already, so that it is not sent.
    """

    step: str
    origin: str
    to: str
    needed_by: tuple[str, ...]
    model: bool = False
    digest: str = ""
    size: int | None = None
    there: bool = False


def travelling(prepared: Prepared) -> Sequence[Travelling]:
    """All journeys of a plan over several targets; none of a plan on one."""
    several = prepared.target
    if not isinstance(several, SeveralTarget):
        return ()
    found = []
    for each in journeys(prepared.plan, LOCAL):
        step = prepared.plan.step(each.step)
        made = _content(several, prepared.facts, step, step.target)
        there = _content(several, prepared.facts, step, each.to) if each.to != step.target else None
        known = made or there
        found.append(
            Travelling(
                step=each.step,
                origin=each.origin,
                to=each.to,
                needed_by=each.needed_by,
                model=each.model,
                digest=known.digest if known is not None else "",
                size=known.size if known is not None else None,
                there=there is not None,
            )
        )
    return found


def _content(several: SeveralTarget, facts: TargetFacts, step: AnyStep, target: str) -> Content | None:
    """What a target has of a step; None where it does not answer, or cannot say so."""
    if facts.of(target).away:
        return None
    try:
        return several.parts[target].features.require(EXCHANGE).content(step)
    except PlimsollError:
        return None
