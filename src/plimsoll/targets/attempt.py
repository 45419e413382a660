"""One attempt at one step, the same on every target: how it is carried out, stopped, and said to have ended."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from typing import ClassVar, Generic, TypeVar

from msgspec import Struct

from plimsoll.errors import PlimsollError
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import AttemptEnded, RunEvent, run_observed
from plimsoll.planning.steps import Step, Work
from plimsoll.state.results import Result, stored


class AttemptOutcome(Struct, frozen=True, kw_only=True):
    """How an attempt ended: `done`, `failed` or `stopped`; why; and what it left.

    `lasting` is a failure that a new attempt would only repeat.
    """

    state: str
    reason: str = ""
    result: Result = Result()
    lasting: bool = False


Progress = Generator[Observation, None, AttemptOutcome]
"""What carrying out a piece of work gives: observations as they happen, and its outcome in the end."""

W = TypeVar("W", bound=Work)


class Attempt(ABC, Generic[W]):
    """Carries a step out while it is iterated; the last observation is always attempt-ended.

    Errors in the world (PlimsollError, OSError) end the attempt as failed. Anything else is a defect and is raised.
    """

    source: ClassVar[str]

    def __init__(self, step: Step[W], number: int) -> None:
        self.step = step
        self.number = number
        self.stopping = threading.Event()

    @property
    def work(self) -> W:
        """What the step does."""
        return self.step.work

    @property
    def stopped(self) -> bool:
        """Whether the attempt has been asked to end."""
        return self.stopping.is_set()

    def stop(self) -> None:
        """Ask the attempt to end; its iteration then ends within seconds. Safe from any thread."""
        self.stopping.set()

    def seen(self, event: RunEvent) -> Observation:
        """An observation of this attempt."""
        return run_observed(self.source, self.step.name, event)

    @abstractmethod
    def perform(self) -> Progress:
        """Do the work."""

    @abstractmethod
    def keep(self, outcome: AttemptOutcome) -> AttemptOutcome:
        """Store what a finished attempt left, or remove what a failed one left; gives how the attempt ends then."""

    @property
    @abstractmethod
    def where(self) -> str:
        """Where the attempt works, for errors of the operating system that name no file."""

    def __iter__(self) -> Iterator[Observation]:
        """Carry the attempt out."""
        outcome = yield from self.outcome()
        yield self.seen(
            AttemptEnded(
                attempt=self.number,
                outcome=outcome.state,
                reason=outcome.reason,
                result=stored(outcome.result),
                lasting=outcome.lasting,
            )
        )

    def outcome(self) -> Progress:
        """Carry the attempt out, and give how it ended instead of recording it."""
        try:
            outcome = yield from self.perform()
            return self.keep(outcome)
        except PlimsollError as error:
            outcome = failed(str(error), lasting=error.lasting)
        except OSError as error:
            outcome = failed(f"{error.filename or self.where}: {error.strerror or error}")
        return self.keep(outcome)


def failed(reason: str, *, lasting: bool = False) -> AttemptOutcome:
    """The outcome of an attempt that did not succeed."""
    return AttemptOutcome(state="failed", reason=reason, lasting=lasting)


def done(result: Result) -> AttemptOutcome:
    """The outcome of an attempt that succeeded."""
    return AttemptOutcome(state="done", result=result)


STOPPED = AttemptOutcome(state="stopped", reason="stopped")
