"""One attempt at one step: how every target runs it, stops it, and records its end."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from typing import ClassVar, Generic, TypeVar

from msgspec import Struct

from plimsoll.errors import PlimsollError, without_queries
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import AttemptEnded, RunEvent, run_observed
from plimsoll.planning.steps import Step, Work
from plimsoll.state.results import Result, result_to_json


class AttemptOutcome(Struct, frozen=True, kw_only=True):
    """The outcome of an attempt: its state (`done`, `failed` or `stopped`), the reason, and the result.

    `lasting` marks a failure that a new attempt would repeat.
    """

    state: str
    reason: str = ""
    result: Result = Result()
    lasting: bool = False


Progress = Generator[Observation, None, AttemptOutcome]
"""A generator that does the work: it yields observations as they happen and returns the outcome."""

W = TypeVar("W", bound=Work)


class Attempt(ABC, Generic[W]):
    """Runs a step while it is iterated; the last observation is always attempt-ended.

    A PlimsollError or OSError ends the attempt as failed. Any other exception is a defect and is raised.
    """

    source: ClassVar[str]

    def __init__(self, step: Step[W], number: int) -> None:
        self.step = step
        self.number = number
        self.stopping = threading.Event()

    @property
    def work(self) -> W:
        """The work of the step."""
        return self.step.work

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self.stopping.is_set()

    def stop(self) -> None:
        """Stop the attempt; its iteration ends within seconds. Safe from any thread."""
        self.stopping.set()

    def seen(self, event: RunEvent) -> Observation:
        """An observation of this attempt."""
        return run_observed(self.source, self.step.name, event)

    @abstractmethod
    def perform(self) -> Progress:
        """Do the work."""

    @abstractmethod
    def keep(self, outcome: AttemptOutcome) -> AttemptOutcome:
        """Store the files of a finished attempt, or delete those of a failed one; returns the final outcome."""

    @property
    @abstractmethod
    def where(self) -> str:
        """The place of the attempt, for errors of the operating system that name no file."""

    def __iter__(self) -> Iterator[Observation]:
        """Run the attempt and record its end."""
        outcome = yield from self.outcome()
        yield self.seen(
            AttemptEnded(
                attempt=self.number,
                outcome=outcome.state,
                reason=outcome.reason,
                result=result_to_json(outcome.result),
                lasting=outcome.lasting,
            )
        )

    def outcome(self) -> Progress:
        """Run the attempt and return its outcome instead of recording it."""
        try:
            outcome = yield from self.perform()
            return self.keep(outcome)
        except PlimsollError as error:
            outcome = failed(error.on_one_line(), lasting=error.lasting)
        except OSError as error:
            outcome = failed(f"{error.filename or self.where}: {error.strerror or error}")
        return self.keep(outcome)


def failed(reason: str, *, lasting: bool = False) -> AttemptOutcome:
    """The outcome of a failed attempt. Its reason has no queries of addresses, as no error has."""
    return AttemptOutcome(state="failed", reason=without_queries(reason), lasting=lasting)


def done(result: Result) -> AttemptOutcome:
    """The outcome of a successful attempt."""
    return AttemptOutcome(state="done", result=result)


STOPPED = AttemptOutcome(state="stopped", reason="stopped")
