"""The port between the engine and the world: the few methods that every target offers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from msgspec import Struct

from plimsoll.evidence.observation import Observation
from plimsoll.planning.facts import Facts
from plimsoll.planning.steps import Step


class Handle(Struct, frozen=True, kw_only=True):
    """One attempt at one step on a target. `attempt` counts from 1 within a run."""

    step: Step
    attempt: int


class Target(Protocol):
    """What the engine asks of a target. Every method may be called from any thread."""

    def facts(self) -> Facts:
        """What is there: resources, providers, versions."""
        ...

    def result(self, step: Step) -> Mapping[str, Any] | None:
        """The result of a step that has been finished with this key, in this run or an earlier one."""
        ...

    def start(self, step: Step, attempt: int) -> Handle:
        """Begin the step. A step that trains goes on from its last checkpoint. Raises PlimsollError when it cannot."""
        ...

    def observe(self, handle: Handle) -> Iterator[Observation]:
        """What happens, as it happens; the last observation is always `attempt-ended` (see `engine.history`)."""
        ...

    def stop(self, handle: Handle) -> None:
        """End the attempt and everything it started; `observe` then ends within seconds."""
        ...
