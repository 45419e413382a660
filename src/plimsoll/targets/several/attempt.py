"""An attempt at one step of a run over several targets: it waits for its target and brings there what it needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, TypeVar

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import AttemptEnded, Carried, Waiting, event_of
from plimsoll.kinds.model import RegisterResult
from plimsoll.planning.placement import own_journeys
from plimsoll.planning.steps import AnyStep, Work
from plimsoll.state.results import Result, result_from_json
from plimsoll.targets.attempt import STOPPED, Attempt, AttemptOutcome, Progress, done
from plimsoll.targets.port import RunningAttempt
from plimsoll.targets.several.place import Away, Place, until

if TYPE_CHECKING:
    from plimsoll.targets.several.session import SeveralSession

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

    source = "several"

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
        while True:
            ended = yield from self._attempted(self.step, self.number)
            if ended.outcome == "done":
                result = result_from_json(ended.result, self.work.result) or Result()
                yield from self._told_what_was_sent(result)
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
        yield self._travelled(made, origin, self._place, arrived.digest, arrived.size, time.monotonic() - began)

    def _told_what_was_sent(self, result: Result) -> Waits[None]:
        """Tell what the step itself has sent, once its target says so."""
        told = yield from self._answered([self._place], lambda: list(self._sent(result)))
        yield from told

    def _sent(self, result: Result) -> Iterator[Observation]:
        """What the step itself has sent between its target and this machine."""
        here = self._session.places[self._session.here]
        for origin, to, _ in own_journeys(self.step, self._session.here):
            content = self._place.exchange.content(self.step)
            if content is None:
                continue
            size = content.size
            if to == self._session.here:
                kept = self._place.target.state.result(self.step.key, self.work.result)
                size = sum(file.size for file in (kept or result).outputs)
            places = (here, self._place) if origin == self._session.here else (self._place, here)
            yield self._travelled(self.step, *places, content.digest, size, 0.0)

    def _travelled(
        self, made: AnyStep, origin: Place, to: Place, digest: str, size: int, seconds: float
    ) -> Observation:
        return self.seen(
            Carried(
                attempt=self.number,
                step=made.name,
                key=made.key,
                origin=origin.target.name,
                to=to.target.name,
                kind="model" if made.work.travels == "model" else "data",
                digest=digest,
                size=size,
                seconds=round(seconds, 3),
            )
        )

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
