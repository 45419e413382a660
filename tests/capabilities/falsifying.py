"""The shape of a falsification: what a cheating or broken cluster would have recorded, and its verdict."""

from __future__ import annotations

from collections.abc import Callable

from plimsoll.evidence.verdict import Outcome
from tests.capabilities.recorded import Fact, Record, changed

FAIL, UNKNOWN, ENVIRONMENT = Outcome.FAIL, Outcome.UNKNOWN, Outcome.ENVIRONMENT_ERROR
Falsify = Callable[[Record], Record]
Cheat = tuple[str, str, Falsify, Outcome]
"""A requirement, the cheat in words, how it falsifies the record, and the outcome that it has to get."""


def case(event: str, change: Callable[[Fact], Fact | None], **where: object) -> Falsify:
    return lambda record: changed(record, event, change, **where)
