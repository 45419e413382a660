"""What an answer to an attack means. Pure."""

from __future__ import annotations

import re
from enum import Enum

from plimsoll.capabilities.tenant_isolation.attacks import OBJECTS, RIGHTS

_BROKEN_HOOK = re.compile(r"failed calling webhook|failed to call webhook|failed to configure")
_ENDING = re.compile(r"being terminated")
_PASSED = frozenset({400, 405, 409, 415, 422})
"""Refusals that come after the question who may do it."""


class Means(Enum):
    """What an answer shows of a way: it was held, it was not, or nothing."""

    HELD = "held"
    BROKEN = "broken"
    NOTHING = "nothing"


def means(way: str, status: int, message: str) -> Means:
    """A refusal holds when it is one; that of a webhook that does not answer, or of an absent object, shows nothing."""
    if status == 403:
        return Means.NOTHING if _BROKEN_HOOK.search(message) or _ENDING.search(message) else Means.HELD
    if 200 <= status < 300:
        return Means.BROKEN
    if status in _PASSED and way in (OBJECTS, RIGHTS):
        return Means.BROKEN
    return Means.NOTHING


def is_allowed(status: int) -> bool:
    """Whether a control was let through: refused for its form alone counts, since rights are asked before."""
    return 200 <= status < 300 or status in (400, 426)


def reached(said: str) -> bool:
    """Whether a pod says that a try reached something."""
    return said.startswith("reached")
