"""How far a step is kept apart on this machine."""

from __future__ import annotations

from plimsoll.application.isolation import Isolation
from plimsoll.errors import TargetError
from plimsoll.runtime.isolation.bubblewrap import sandboxing


def settled_here(asked: Isolation | None) -> Isolation:
    """What the file asks for, or else what the machine can. Raises TargetError for what the machine cannot."""
    found = sandboxing()
    if asked is None:
        return Isolation(level="process" if found.program else "none")
    if asked.level != "none" and not found.program:
        raise TargetError(
            f"isolation: {asked.level} needs bubblewrap: {found.problem}", hint=found.remedy, lasting=True
        )
    return asked
