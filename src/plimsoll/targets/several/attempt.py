"""An attempt at one step of a run over several targets: it waits for its target and brings there what it needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, TypeVar

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import AttemptEnded, Waiting, event_of
from plimsoll.kinds.register import RegisterResult
from plimsoll.planning.placement import own_journeys
from plimsoll.planning.steps import AnyStep, Work
from plimsoll.state.results import Result, result_from_json
from plimsoll.targets.attempt import STOPPED, Attempt, AttemptOutcome, Progress, done
from plimsoll.targets.port import RunningAttempt
from plimsoll.targets.several.place import Away, Place, until
from plimsoll.targets.several.standbys import informed
from plimsoll.targets.several.travelled import fetched_here, kept_here, travelled

if TYPE_CHECKING:
    from plimsoll.targets.several.session import SeveralSession

SOURCE = "several"
LOOK = 2.0
"""Seconds between two looks at whether a target answers again."""
AWAY_LIMIT = 600.0
"""Seconds for which a step waits for a target that does not answer."""

Given = TypeVar("Given")
Waits = Generator[Observation, None, Given]
"""Observations of what is waited for, and what comes of it."""


class _LetGo(Exception):
    """The attempt was stopped."""


class SeveralAttempt(Attempt[Work]):
    """Hands a step on to the session of its target."""

    source = SOURCE

    def __init__(self, step: AnyStep, number: int, session: SeveralSession) -> None:
        super().__init__(step, number)
        self._session = session
        self._place = session.place(step)
        self._inner: RunningAttempt | None = None

    @property
    def where(self) -> str:
        """The target of the step."""
        return self._place.name

    def stop(self) -> None:
        """Stop the attempt, and what its target is at."""
        super().stop()
        if (inner := self._inner) is not None:
            inner.stop()

    def keep(self, outcome: AttemptOutcome) -> AttemptOutcome:
        """The target has kept what there is to keep."""
        return STOPPED if self.stopped and outcome.state != "done" else outcome

    def perform(self) -> Progress:
        """Wait for the target, bring what the step needs, and carry it out there."""
        try:
            if self.number == 1 and self.step.name not in self._session.forced:
                # The engine has asked already, perhaps while the target did not answer.
                known = yield from self._answered([self._place], lambda: self._place.session().result(self.step))
                if known is not None:
                    return done(known)
            for made in self._session.makers(self.step):
                yield from self._brought(made)
            return (yield from self._carried_out())
        except _LetGo:
            return STOPPED

    def _carried_out(self) -> Progress:
        """Carry the step out; go on with it when its target has been away meanwhile."""
        due = self._due()
        while True:
            step = yield from self._answered([self._place], lambda: informed(self.step, self._session, waits=True))
            ended = yield from self._attempted(step, self.number)
            if ended.outcome == "done":
                result = result_from_json(ended.result, self.work.result) or Result()
                yield from self._told_what_was_sent(due)
                return done(result)
            if self.stopped or not self._place.absence():
                return AttemptOutcome(state=ended.outcome, reason=ended.reason, lasting=ended.lasting)
            yield self.seen(Waiting(attempt=self.number, reason=f"{self._place.name} went away: {ended.reason}"))
            known = yield from self._answered([self._place], lambda: self._place.session().result(self.step))
            if known is not None:
                return done(known)

    def _attempted(self, step: AnyStep, number: int) -> Waits[AttemptEnded]:
        """One attempt of the target itself, without its end, which is this attempt's to tell."""
        session = yield from self._answered([self._place], self._place.session)
        self._inner = inner = session.start(step, number)
        if self.stopped:
            inner.stop()
        last: AttemptEnded | None = None
        for seen in inner:
            event = event_of(seen)
            if isinstance(event, AttemptEnded):
                last = event
            else:
                yield seen
        self._inner = None
        if last is None:
            raise PlimsollError("the target ended an attempt without an attempt-ended observation", where=step.name)
        return last

    def _brought(self, made: AnyStep) -> Waits[None]:
        """Have the result of a step on this one's target as well."""
        if made.work.travels == "nothing":
            return
        if made.work.travels == "never":
            yield from self._made_again(made)
        elif (made.target or self._session.here) != (self.step.target or self._session.here):
            origin = self._session.place(made)
            with self._session.alone(made, self.step.target):
                told = yield from self._answered([origin, self._place], lambda: list(self._carry(made, origin)))
            yield from told

    def _made_again(self, made: AnyStep) -> Waits[None]:
        """What does not travel, such as an environment, is made on each target that needs it."""
        for each in self._session.makers(made):
            yield from self._brought(each)
        with self._session.alone(made, self.step.target):
            there = yield from self._answered([self._place], lambda: self._place.session().result(made))
            if there is not None:
                return
            ended = yield from self._attempted(made, 1)
        if ended.outcome == "stopped":
            raise _LetGo
        if ended.outcome != "done":
            raise TargetError(ended.reason, where=f"{made.name} on {self._place.name}", lasting=ended.lasting)

    def _carry(self, made: AnyStep, origin: Place) -> Iterator[Observation]:
        """Bring a result unless it is there; tells of what has travelled."""
        there = self._place.exchange
        if made.stays and made.stays != (self.step.target or self._session.here) and not made.work.leaves:
            message = f"the rows of {made.name} stay on {origin.name}, and are not brought to {self._place.name}"
            raise TargetError(message, where=self.step.name, lasting=True)
        began, here = time.monotonic(), self._session.places[self._session.here]
        known = there.content(made)
        if made.work.travels == "model":
            registered = origin.target.state.result(made.key, made.work.result)
            if not isinstance(registered, RegisterResult):
                raise TargetError(f"{made.name} has registered nothing", where=origin.name, hint="run again")
            if known is not None and known.digest == registered.digest:
                return
            arrived = there.take_model(made, registered)
            if self._place is here:
                # It was registered on this machine, and has not travelled.
                return
            origin = here
        elif known is not None and not self._session.is_due_again(made, self._place):
            return
        else:
            arrived = there.take(made, origin.exchange.give(made))
            self._session.arrived(made, self._place)
        size, took = arrived.size, time.monotonic() - began
        way = travelled(made, origin, self._place, arrived.digest, size, attempt=self.number, seconds=took)
        yield self.seen(way)

    def _told_what_was_sent(self, due: list[AnyStep]) -> Waits[None]:
        """Tell what the step itself has sent and fetched, once its target says so."""
        told = yield from self._answered([self._place], lambda: list(self._sent(due)))
        yield from told

    def _sent(self, due: list[AnyStep]) -> Iterator[Observation]:
        """What the step itself has sent between its target and this machine, and what it has fetched of `due`."""
        here = self._session.places[self._session.here]
        for made in due:
            if (fetched := fetched_here(made, self._place, here, attempt=self.number)) is not None:
                yield self.seen(fetched)
        for _, to, _ in own_journeys(self.step, self._session.here):
            if to == self._session.here:
                if (fetched := fetched_here(self.step, self._place, here, attempt=self.number)) is not None:
                    yield self.seen(fetched)
            elif (content := self._place.exchange.content(self.step)) is not None:
                sent = travelled(self.step, here, self._place, content.digest, content.size, attempt=self.number)
                yield self.seen(sent)

    def _due(self) -> list[AnyStep]:
        """What of the steps that it needs will be fetched to this machine, where a version is signed."""
        if self.work.travels != "model" or self._place is self._session.places[self._session.here]:
            return []
        makers = (each for each in self._session.makers(self.step) if each.target == self.step.target)
        return [each for each in makers if each.work.kept_here and kept_here(each, self._place) is None]

    def _answered(self, places: list[Place], ask: Callable[[], Given]) -> Waits[Given]:
        """What is asked of targets, once they answer; says whom it waits for, and for how long at most.

        Raises TargetError for a target that does not answer within the limit.
        """
        over, told = until(AWAY_LIMIT), ""
        while True:
            if self.stopped:
                raise _LetGo
            try:
                return ask()
            except Away as away:
                who, reason = away.where, away.message
            except PlimsollError:
                who, reason = next(((each.name, why) for each in places if (why := each.absence())), ("", ""))
                if not reason:
                    raise
            if over():
                raise TargetError(
                    f"{who} has not answered for {AWAY_LIMIT:g} s: {reason}",
                    where=self.step.name,
                    hint="run again once it answers: what is done is kept",
                    lasting=True,
                )
            if who != told:
                told = who
                words = f"{who} does not answer; the step goes on when it does, within {AWAY_LIMIT:g} s ({reason})"
                yield self.seen(Waiting(attempt=self.number, reason=words))
            self.stopping.wait(LOOK)
