"""A target in memory: steps are functions. For tests of plans and engines, here and in other people's projects."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import AnyStep, Work
from plimsoll.state.directory import StateDirectory
from plimsoll.state.results import Result
from plimsoll.targets.attempt import STOPPED, Attempt, AttemptOutcome, Progress, done, failed
from plimsoll.targets.features import Features

if TYPE_CHECKING:
    from plimsoll.telemetry.drift.state import DriftState


class MemoryAttempt(Attempt[Work]):
    """Calls the step's function. It must return soon after `stopping` is set."""

    source = "memory"

    def __init__(self, step: AnyStep, number: int, function: StepFunction, results: dict[str, Result]) -> None:
        super().__init__(step, number)
        self._function = function
        self._results = results

    @property
    def where(self) -> str:
        """The step's name: there is no directory."""
        return self.step.name

    def perform(self) -> Progress:
        """Call the function; whatever it raises is how the step failed."""
        yield from ()
        try:
            return done(self._function(self))
        except Exception as error:  # noqa: BLE001 - of a function that a test has written
            return failed(str(error))

    def keep(self, outcome: AttemptOutcome) -> AttemptOutcome:
        """Remember the result."""
        if self.stopped:
            return STOPPED
        if outcome.state == "done":
            self._results[self.step.key] = outcome.result
        return outcome


StepFunction = Callable[[MemoryAttempt], Result]
"""What a step does: gives its result, or raises to fail."""


class MemoryTarget:
    """Both a target and its only session. Results stay as long as the target does.

    `functions` are by a step's name, or by its verb; a step without one gives an empty result of its type.
    `state` is where the journal of an `ApplicationRun` is kept; a temporary directory when left out.
    """

    name = "memory"

    def __init__(
        self,
        facts: TargetFacts | None = None,
        functions: Mapping[str, StepFunction] | None = None,
        state: StateDirectory | None = None,
    ) -> None:
        self._facts = facts or TargetFacts(target=self.name, cpu=4.0, memory=2**32)
        self._functions = dict(functions or {})
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._state = state
        self.results: dict[str, Result] = {}
        self.started: list[str] = []

    @property
    def state(self) -> StateDirectory:
        """Where journals are kept."""
        if self._state is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="plimsoll-memory-")
            self._state = StateDirectory(Path(self._scratch.name))
        return self._state

    @property
    def features(self) -> Features:
        """None."""
        return Features(self.name, {}, {})

    def facts(self) -> TargetFacts:
        """What the target was said to have."""
        return self._facts

    def open(self, run: str, *, watch: bool) -> MemoryTarget:
        """The target itself."""
        return self

    def begin(self) -> int:
        """Nothing is left from before."""
        return 0

    def result(self, step: AnyStep) -> Result | None:
        """The result of a step that was done under this key."""
        return self.results.get(step.key)

    def fetch(self, step: AnyStep) -> None:
        """There are no files."""

    def start(self, step: AnyStep, attempt: int) -> MemoryAttempt:
        """Note the attempt."""
        self.started.append(step.name)
        function = self._functions.get(step.name) or self._functions.get(step.verb, _empty)
        return MemoryAttempt(step, attempt, function, self.results)

    def fallen(self) -> Iterator[tuple[str, str]]:
        """Services here do not die."""
        return iter(())

    def services(self) -> Mapping[str, str]:
        """No service has an address here."""
        return {}

    def service_notes(self, service: str) -> Sequence[str]:
        """Nothing."""
        return ()

    def drift(self, service: str) -> Sequence[DriftState]:
        """No service is watched here."""
        return ()

    def remove(self) -> list[str]:
        """Nothing stays up."""
        return []

    def close(self) -> None:
        """Nothing is kept open."""


def _empty(attempt: MemoryAttempt) -> Result:
    return attempt.work.result()
