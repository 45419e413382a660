"""One of the targets of a run over several: it is opened once it answers, and its lock is held meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.kinds.serve import ServeResult
from plimsoll.planning.steps import AnyStep
from plimsoll.state.lock import RunLock
from plimsoll.state.results import Result, result_from_json
from plimsoll.targets.exchange import ExchangesResults
from plimsoll.targets.features import ABSENCE, EXCHANGE
from plimsoll.targets.port import RunRequest, Session, Target
from plimsoll.targets.several.records import recorded_results

ABSENT_FOR = 3.0
"""Seconds for which a target that did not answer is not asked again."""
ANSWER_LIMIT = 10.0
"""Seconds that a target has to say whether a step has a result: others wait for that answer."""


class Away(TargetError):
    """A target does not answer now; the message says why."""


class Place:
    """One target of a run. `name` is what the file calls it. Every method may be called from any thread."""

    def __init__(self, target: Target, name: str, run: str, *, watch: bool) -> None:
        self.target = target
        self.name = name
        self._run = run
        self._watch = watch
        self._session: Session | None = None
        self._request: RunRequest | None = None
        self._begins = False
        self._closed = False
        self._lock = threading.Lock()
        self._held: RunLock | None = None
        self._absent: tuple[float, str] = (0.0, "")
        self._records: Mapping[str, Mapping[str, object]] | None = None
        self._asking: ThreadPoolExecutor | None = None
        self._asked: Future[Result | None] | None = None

    @property
    def exchange(self) -> ExchangesResults:
        """What gives and takes results here."""
        return self.target.features.require(EXCHANGE)

    @property
    def opened(self) -> Session | None:
        """The session, if the target has answered so far."""
        return self._session

    def hold(self, application: str) -> None:
        """Have no other run of this directory on this target alone. Raises TargetError while one goes on."""
        self.target.state.make()
        lock = RunLock(self.target.state.lock)
        lock.acquire(self._run, application, watches=self._watch)
        self._held = lock

    def begin(self, request: RunRequest | None) -> int:
        """Begin the session, or have it begun once the target answers. Raises Away where it does not answer now."""
        self._begins, self._request = True, request
        with self._lock:
            return self._open()

    def session(self) -> Session:
        """The session of a target that answers now. Raises Away, and TargetError for what else is wrong."""
        with self._lock:
            if self._session is None:
                self._open()
            elif reason := self.absence():
                raise Away(reason, where=self.name)
            assert self._session is not None  # noqa: S101 - it has just been opened
            return self._session

    def absence(self) -> str:
        """Why the target does not answer now; empty when it does."""
        features = self.target.features
        if ABSENCE not in features:
            return ""
        asked, reason = self._absent
        if not reason or time.monotonic() - asked > ABSENT_FOR:
            reason = features.require(ABSENCE)()
            self._absent = (time.monotonic(), reason)
        return reason

    def result(self, step: AnyStep) -> Result | None:
        """The result of a step; None where the target has none, or does not say so in time.

        Whoever asks does so for all targets in turn, so that one that does not answer is not waited for: of what it has
        finished, what earlier runs recorded counts meanwhile.
        """
        if ABSENCE not in self.target.features:
            return self._opened().result(step)
        if self._asking is None:
            self._asking = ThreadPoolExecutor(1, thread_name_prefix=f"asks-{self.name}")
        if self._asked is not None and not self._asked.done():
            return None
        self._asked = self._asking.submit(self._result, step)
        try:
            return self._asked.result(ANSWER_LIMIT)
        except NotYet:
            return None
        except Away:
            return self._recorded(step)

    def close(self) -> None:
        """End the session and let go of the target."""
        if self._asking is not None:
            self._asking.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            session, self._session, self._closed = self._session, None, True
        try:
            if session is not None:
                session.close()
        finally:
            if self._held is not None:
                self._held.release()
                self._held = None

    def _recorded(self, step: AnyStep) -> Result | None:
        """What an earlier run recorded of a step with this key; a service is what runs, and no record."""
        if issubclass(step.work.result, ServeResult):
            return None
        if self._records is None:
            self._records = recorded_results(self.target.state)
        values = self._records.get(step.key)
        return result_from_json(values, step.work.result) if values is not None else None

    def _result(self, step: AnyStep) -> Result | None:
        try:
            return self._opened().result(step)
        except PlimsollError:
            if reason := self.absence():
                raise Away(reason, where=self.name) from None
            raise

    def _opened(self) -> Session:
        with self._lock:
            if self._session is None:
                self._open()
            assert self._session is not None  # noqa: S101 - it has just been opened
            return self._session

    def _open(self) -> int:
        """Open the session, and begin it where the run has begun. The caller has the lock."""
        session: Session | None = None
        if self._closed:
            # Whoever asked late must not take what has just been let go of.
            raise TargetError("the run has ended", where=self.name)
        if reason := self.absence():
            raise Away(reason, where=self.name)
        try:
            session = self.target.open(self._run, watch=self._watch)
            ended = session.begin(self._request) if self._begins else 0
        except PlimsollError as error:
            if session is not None:
                _close_quietly(session)
            if reason := self.absence():
                raise Away(reason, where=self.name) from error
            raise
        self._session = session
        return ended


def _close_quietly(session: Session) -> None:
    """Close a session of a target that may not answer: what is wrong with it is told otherwise."""
    try:
        session.close()
    except PlimsollError:
        return


def until(limit: float) -> Callable[[], bool]:
    """Tells whether so many seconds have passed."""
    deadline = time.monotonic() + limit
    return lambda: time.monotonic() > deadline
