"""A target in memory, whose steps are functions: for tests of plans and engines, also in other projects."""

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
from plimsoll.targets.port import RunRequest

if TYPE_CHECKING:
    from plimsoll.telemetry.drift.state import DriftState


class MemoryAttempt(Attempt[Work]):
    """Calls the step's function, which must return soon after `stopping` is set."""

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
        """Call the function; an exception becomes the reason of the failure."""
        yield from ()
        try:
            return done(self._function(self))
        except Exception as error:  # noqa: BLE001 - a test's function may raise anything
            return failed(str(error))

    def keep(self, outcome: AttemptOutcome) -> AttemptOutcome:
        """Store the result in memory."""
        if self.stopped:
            return STOPPED
        if outcome.state == "done":
            self._results[self.step.key] = outcome.result
        return outcome


StepFunction = Callable[[MemoryAttempt], Result]
"""The work of a step: returns its result, or raises an exception to fail."""


class MemoryTarget:
    """A target and its only session in one object. Results last as long as the target.

    `functions` maps a step's name or verb to its function; a step without one has an empty result of its type.
    `state` keeps the journal of an `ApplicationRun`; a temporary directory by default.
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
        """The state directory, which keeps the journals."""
        if self._state is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="plimsoll-memory-")
            self._state = StateDirectory(Path(self._scratch.name))
        return self._state

    @property
    def features(self) -> Features:
        """None."""
        return Features(self.name, {}, {})

    def facts(self) -> TargetFacts:
        """The facts given to the constructor."""
        return self._facts

    def open(self, run: str, *, watch: bool) -> MemoryTarget:
        """The target itself."""
        return self

    def begin(self, request: RunRequest | None = None) -> int:
        """Zero: no earlier run leaves processes."""
        return 0

    def joined(self) -> str:
        """Nobody else's."""
        return ""

    def steps_ended(self) -> None:
        """Do nothing: nobody else uses it."""

    def result(self, step: AnyStep) -> Result | None:
        """The result of a finished step with this key."""
        return self.results.get(step.key)

    def fetch(self, step: AnyStep) -> None:
        """Do nothing: there are no files."""

    def start(self, step: AnyStep, attempt: int) -> MemoryAttempt:
        """Create an attempt and record the step in `started`."""
        self.started.append(step.name)
        function = self._functions.get(step.name) or self._functions.get(step.verb, _empty)
        return MemoryAttempt(step, attempt, function, self.results)

    def fallen(self) -> Iterator[tuple[str, str]]:
        """None: services in memory do not die."""
        return iter(())

    def services(self) -> Mapping[str, str]:
        """None: services in memory have no address."""
        return {}

    def service_notes(self, service: str) -> Sequence[str]:
        """None."""
        return ()

    def waits(self) -> Sequence[str]:
        """None."""
        return ()

    def run_note(self) -> str:
        """Nobody else's: the lock of the directory admits one run."""
        return ""

    def drift(self, service: str) -> Sequence[DriftState]:
        """None: services in memory are not watched."""
        return ()

    def problems(self) -> Mapping[str, str]:
        """None: nobody else changes what is in memory."""
        return {}

    def remove(
        self,
        say: Callable[[str], None] = lambda _: None,
        *,
        force: bool = False,
        waiting: Callable[[str], None] = lambda _: None,
    ) -> list[str]:
        """Delete nothing: no service outlives a run."""
        return []

    def close(self) -> None:
        """Do nothing: there are no connections."""


def _empty(attempt: MemoryAttempt) -> Result:
    return attempt.work.result()
