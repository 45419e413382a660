"""The three acts of the page: stop, promote and roll back, carried out as the verbs of these names do.

An act runs on a thread of its own, because a promotion takes minutes; the page is told each line that the verb prints.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import FileError, PlimsollError
from plimsoll.targets.port import Target
from plimsoll.ui.events import Event, Hub

if TYPE_CHECKING:
    from plimsoll.engine.promotion.promoting import Promotion

KEPT = 50
LINES = 200
CLOSE_LIMIT = 30.0
"""Seconds that acts under way have to put everything back when the server ends."""


@decodable
class Wanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An act that a page asks for. `confirmed` repeats what it is about: a run's or a service's name."""

    act: str
    confirmed: str
    service: str = ""
    reference: str = ""
    steps: tuple[int, ...] = (5, 25, 50, 100)
    requests: int = 200
    hold: float = 10.0
    limit: float = 600.0


class Act(Struct, kw_only=True):
    """An act under way or ended. `state` is running, done or failed."""

    id: str
    place: str
    act: str
    about: str
    state: str = "running"
    lines: list[str] = field(default_factory=list)
    error: dict[str, str] | None = None


def wanted(body: bytes) -> Wanted:
    """The act that a request asks for. Raises FileError for a body that is none."""
    try:
        asked = msgspec.json.decode(body, type=Wanted)
    except UNREADABLE as error:
        raise FileError(
            f"this is no act: {error}", hint='send {"act": "rollback", "service": NAME, "confirmed": NAME}'
        ) from error
    needed = {"stop": (), "promote": ("reference",), "rollback": ("service",)}
    if asked.act not in needed:
        raise FileError(f"there is no act '{asked.act}'", hint=f"the acts are {', '.join(needed)}")
    if missing := [name for name in needed[asked.act] if not getattr(asked, name)]:
        raise FileError(f"the act '{asked.act}' needs '{missing[0]}'", where=asked.act)
    steps = list(asked.steps)
    if not steps or steps != sorted(set(steps)) or steps[0] < 1 or steps[-1] != 100:
        raise FileError("these are not ascending percentages that end with 100", where="steps")
    return asked


class Acts:
    """All acts of a server. Every method may be called from any thread."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._acts: dict[str, tuple[Act, threading.Event, threading.Thread]] = {}

    def begin(self, place: str, make: Callable[[], Target], asked: Wanted) -> Act:
        """Begin an act. Raises FileError when it was not confirmed, or one of the place goes on."""
        about = asked.reference or asked.service or place
        if asked.confirmed != about:
            raise FileError(f"the act was not confirmed: expected '{about}'", where="confirmed")
        with self._lock:
            if running := next(
                (a for a, _, _ in self._acts.values() if a.place == place and a.state == "running"), None
            ):
                raise FileError(
                    f"'{running.act}' of {running.about} goes on here", hint="wait for its end, or interrupt it"
                )
            act, stopping = Act(id=str(next(self._numbers)), place=place, act=asked.act, about=about), threading.Event()
            thread = threading.Thread(
                target=self._run, args=(act, stopping, make, asked), name=f"act {act.id}", daemon=True
            )
            self._acts[act.id] = (act, stopping, thread)
            for old in [key for key, (each, _, _) in self._acts.items() if each.state != "running"][:-KEPT]:
                del self._acts[old]
        thread.start()
        return act

    def listed(self, place: str) -> list[Act]:
        """The acts of a place, the newest first."""
        with self._lock:
            return [act for act, _, _ in reversed(self._acts.values()) if act.place == place]

    def interrupt(self, number: str) -> Act:
        """Interrupt an act as Ctrl-C does the verb. Raises FileError when there is none of that number."""
        with self._lock:
            found = self._acts.get(number)
        if found is None:
            raise FileError(f"there is no act {number}")
        found[1].set()
        return found[0]

    def close(self) -> None:
        """Interrupt all acts, and wait until each has put everything back."""
        with self._lock:
            found = list(self._acts.values())
        for _, stopping, _ in found:
            stopping.set()
        for _, _, thread in found:
            thread.join(CLOSE_LIMIT)

    def _run(self, act: Act, stopping: threading.Event, make: Callable[[], Target], asked: Wanted) -> None:
        def say(line: str) -> None:
            act.lines = [*act.lines[-LINES:], line]
            self._tell(act)

        self._tell(act)
        try:
            target = make()
            try:
                is_done = _carry_out(target, asked, say, stopping.is_set)
            finally:
                target.close()
            act.state = "done" if is_done else "failed"
        except PlimsollError as error:
            act.error, act.state = error.as_json()["error"], "failed"
        except Exception as error:  # noqa: BLE001 - the page must learn that the act has ended, whatever ended it
            act.error, act.state = (
                {"message": f"this is a defect of plimsoll ({type(error).__name__}: {error})"},
                "failed",
            )
        self._tell(act)

    def _tell(self, act: Act) -> None:
        self._hub.tell(Event(kind="act", place=act.place, subject=act.id, data=msgspec.to_builtins(act)))


def _carry_out(target: Target, asked: Wanted, say: Callable[[str], None], stopped: Callable[[], bool]) -> bool:
    if asked.act == "stop":
        _stop(target, say)
        return True
    done = _promote(target, asked, say, stopped) if asked.act == "promote" else _rollback(target, asked, say, stopped)
    if done.promoted:
        say(f"service {done.service}: version {done.new} answers all requests ({done.reason})")
    else:
        say(f"service {done.service}: version {done.old} goes on answering: {done.reason}")
    return done.promoted


def _stop(target: Target, say: Callable[[str], None]) -> None:
    from plimsoll.engine.stopping import stop_application

    stopped = stop_application(target, waiting=say)
    if stopped.run is not None:
        say(f"stopped run {stopped.run.run} of {stopped.run.application}")
    elif not stopped.removed:
        say("nothing is running here")
    if stopped.removed:
        say(f"deleted {len(stopped.removed)} objects: {', '.join(stopped.removed)}")
    for each in stopped.kept:
        say(each)


def _promote(target: Target, asked: Wanted, say: Callable[[str], None], stopped: Callable[[], bool]) -> Promotion:
    from plimsoll.engine.promotion.promoting import Pace, promote

    pace = Pace(steps=asked.steps, requests=max(1, asked.requests), hold=asked.hold, limit=asked.limit)
    return promote(target, asked.reference, service=asked.service or None, pace=pace, say=say, stopped=stopped)


def _rollback(target: Target, asked: Wanted, say: Callable[[str], None], stopped: Callable[[], bool]) -> Promotion:
    from plimsoll.engine.promotion.rollback import rollback

    return rollback(target, asked.service, reference=asked.reference or None, say=say, stopped=stopped)
