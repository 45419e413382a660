"""A target in memory: steps are functions. For tests of plans and engines, here and in other people's projects."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from plimsoll.evidence.observation import Observation, observed
from plimsoll.planning.facts import Facts
from plimsoll.planning.steps import Step
from plimsoll.targets.base import Handle

SOURCE = "memory"
Work = Callable[[Handle, threading.Event], Mapping[str, Any]]
"""What a step does: gives its result, or raises to fail. The event is set when it must stop."""


class MemoryTarget:
    """Results stay as long as the target does. `work` by step name; a step without one does nothing, well."""

    def __init__(self, facts: Facts | None = None, work: Mapping[str, Work] | None = None) -> None:
        self._facts = facts or Facts(target="memory", cpu=4.0, memory=2**32)
        self._work = dict(work or {})
        self.results: dict[str, Mapping[str, Any]] = {}
        self.started: list[str] = []
        self._stops: dict[tuple[str, int], threading.Event] = {}

    def facts(self) -> Facts:
        """What the target was said to have."""
        return self._facts

    def result(self, step: Step) -> Mapping[str, Any] | None:
        """The result of a step that was done under this key."""
        return self.results.get(step.key)

    def start(self, step: Step, attempt: int) -> Handle:
        """Note the attempt."""
        self.started.append(step.name)
        self._stops[step.name, attempt] = threading.Event()
        return Handle(step=step, attempt=attempt)

    def observe(self, handle: Handle) -> Iterator[Observation]:
        """Carry the function out."""
        stop = self._stops[handle.step.name, handle.attempt]
        work = self._work.get(handle.step.name, _nothing)
        try:
            result = work(handle, stop)
        except Exception as error:  # noqa: BLE001 - whatever the function raises is how the step failed
            yield _ended(handle, "failed", reason=str(error))
            return
        if stop.is_set():
            yield _ended(handle, "stopped", reason="stopped")
            return
        self.results[handle.step.key] = result
        yield _ended(handle, "done", result=result)

    def stop(self, handle: Handle) -> None:
        """Tell the function."""
        self._stops[handle.step.name, handle.attempt].set()


def _nothing(_: Handle, __: threading.Event) -> Mapping[str, Any]:
    return {}


def _ended(handle: Handle, outcome: str, **values: Any) -> Observation:
    return observed(
        SOURCE, handle.step.name, "attempt-ended", attempt=handle.attempt, outcome=outcome, **{"result": {}, **values}
    )
