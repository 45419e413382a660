"""A run over several targets: each step is carried out by the session of its own target."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping

from plimsoll.errors import PlimsollError
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import run_observed
from plimsoll.planning.steps import AnyStep
from plimsoll.state.results import Result
from plimsoll.targets.port import RunRequest, Session
from plimsoll.targets.several.attempt import SOURCE, SeveralAttempt
from plimsoll.targets.several.place import Away, Place
from plimsoll.targets.several.standbys import informed
from plimsoll.targets.several.travelled import fetched_here, kept_here


class SeveralSession:
    """The sessions of all targets of a run. A target that does not answer yet is opened by the first step that can.

    The steps that the engine has asked for are remembered: those that need them ask where their results are.
    """

    def __init__(self, places: Mapping[str, Place], application: str, here: str) -> None:
        self.places = places
        self.here = here
        self.steps: dict[str, AnyStep] = {}
        self.forced: frozenset[str] = frozenset()
        self._application = application
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.Lock()
        self._record: Callable[[Observation], None] = lambda _: None
        self._anew: set[tuple[str, str]] = set()

    def begin(self, request: RunRequest | None = None) -> int:
        """Begin on all targets that answer; returns the number of processes that were ended.

        Raises TargetError while another run goes on somewhere, before anything is done anywhere.
        """
        if request is not None:
            self.forced, self._record = request.forced, request.record
        ended = 0
        try:
            for target, place in self.places.items():
                if target != self.here:
                    place.hold(self._application)
            for place in self.places.values():
                try:
                    ended += place.begin(request)
                except Away as away:
                    if request is not None:
                        request.say(f"{place.name} does not answer: its steps wait ({away.message})")
        except BaseException:  # whatever happens, also Ctrl-C: nobody else could use what was begun
            self.close()
            raise
        return ended

    def joined(self) -> str:
        """Whose run of the same content is watched on one of the targets."""
        return next((whose for place in self._opened() if (whose := place.joined())), "")

    def steps_ended(self) -> None:
        """Let others use all targets."""
        for session in self._opened():
            session.steps_ended()

    def result(self, step: AnyStep) -> Result | None:
        """The result of a step, if its target says now that it has one."""
        self.steps[step.name] = step
        return self.place(step).result(informed(step, self))

    def fetch(self, step: AnyStep) -> None:
        """Fetch the files of a finished step to this machine, from the target that has carried it out."""
        place, here = self.place(step), self.places[self.here]
        session, before = place.opened, kept_here(step, place)
        if session is None:
            return
        session.fetch(step)
        if place is not here and before is None and (fetched := fetched_here(step, place, here)) is not None:
            self._record(run_observed(SOURCE, step.name, fetched))

    def start(self, step: AnyStep, attempt: int) -> SeveralAttempt:
        """An attempt, which first waits for its target and has what the step needs brought there."""
        self.steps[step.name] = step
        return SeveralAttempt(step, attempt, self)

    def fallen(self) -> Iterator[tuple[str, str]]:
        """Services that died on any target."""
        for session in self._opened():
            yield from session.fallen()

    def close(self) -> None:
        """End all sessions; the first error is raised once all are closed."""
        problems: list[PlimsollError] = []
        for place in self.places.values():
            try:
                place.close()
            except PlimsollError as error:
                if not place.absence():
                    problems.append(error)
        if problems:
            raise problems[0]

    def place(self, step: AnyStep) -> Place:
        """The target of a step."""
        return self.places[step.target or self.here]

    def makers(self, step: AnyStep) -> list[AnyStep]:
        """The steps that a step needs."""
        return [self.steps[name] for name in step.needs if name in self.steps]

    @contextlib.contextmanager
    def alone(self, step: AnyStep, target: str) -> Iterator[None]:
        """The block has a result on its way to a target by itself: steps that need the same wait for it."""
        with self._lock:
            lock = self._locks.setdefault((step.key, target), threading.Lock())
        with lock:
            yield

    def is_due_again(self, made: AnyStep, place: Place) -> bool:
        """Whether a result that a target has is of before, as its step was forced in this run."""
        return made.name in self.forced and (made.key, place.name) not in self._anew

    def arrived(self, made: AnyStep, place: Place) -> None:
        """Take note that a target has a result as this run has made it."""
        self._anew.add((made.key, place.name))

    def _opened(self) -> list[Session]:
        return [session for place in self.places.values() if (session := place.opened) is not None]
