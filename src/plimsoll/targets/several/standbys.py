"""Where a service that stands by is reached from other targets: its own target says so, once it is up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from plimsoll.kinds.failover import FailOver
from plimsoll.planning.steps import AnyStep
from plimsoll.targets.several.place import Away, Place

if TYPE_CHECKING:
    from plimsoll.targets.several.session import SeveralSession


def informed(step: AnyStep, session: SeveralSession, *, waits: bool = False) -> AnyStep:
    """A step that leads requests to a standby, with its address; every other step, and one without an answer, as it is.

    Raises Away for a target that does not answer now where the caller `waits` for it, and PlimsollError of one that
    answers and cannot say what services it has.
    """
    work = step.work
    if not isinstance(work, FailOver):
        return step
    address = f"{work.at}/{work.standby}" if work.at else _address(work, step, session, waits=waits)
    return replace(step, work=replace(work, address=address))


def _address(work: FailOver, step: AnyStep, session: SeveralSession, *, waits: bool) -> str:
    there = _place(work, step, session)
    if there is None:
        return ""
    if reason := there.absence():
        if waits:
            raise Away(reason, where=there.name)
        return ""
    return there.target.services().get(work.standby, "")


def _place(work: FailOver, step: AnyStep, session: SeveralSession) -> Place | None:
    """The target on which the standby is: that of the step which starts it, and else the one of that name."""
    named = next((place for place in session.places.values() if place.name == work.to), None)
    made = next((made for made in session.makers(step) if getattr(made.work, "service", "") == work.standby), None)
    return session.place(made) if made is not None else named
