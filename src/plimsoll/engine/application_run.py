"""One run of an application on a target, from taking the lock to releasing it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from msgspec.structs import replace

from plimsoll.engine.code_keeping import keep_code
from plimsoll.engine.history import RunHistory, history
from plimsoll.engine.policies.gate import gate_of
from plimsoll.engine.preparation import Prepared, require_rights
from plimsoll.engine.runner import Driver, Engine
from plimsoll.engine.taking_over import TakeOver, take_over
from plimsoll.errors import PlimsollError, TargetError
from plimsoll.evidence.journal import Journal, read_journal
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import PLANNED, Told, run_observed
from plimsoll.kinds.register import Register
from plimsoll.kinds.serve import Serve
from plimsoll.planning.keys import plan_content
from plimsoll.planning.steps import Plan
from plimsoll.signing.claims import Claim
from plimsoll.signing.keys import KeyRing
from plimsoll.state.beginning import beginning
from plimsoll.state.lock import RunLock
from plimsoll.targets.features import KEEP
from plimsoll.targets.port import RunRequest, Session

POLL_INTERVAL = 0.2
"""Seconds between two checks whether services are running."""


def new_run_id() -> str:
    """The time as a run id, to the microsecond because several runs may start in one second.

    The clock may be set back, so that ids alone do not tell which run is the newest: runs have numbers for that.
    """
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"


class ApplicationRun:
    """Runs a prepared application. `stop` may be called from any thread or a signal handler."""

    def __init__(self, prepared: Prepared, *, watch: bool = False, run_id: str | None = None) -> None:
        self.prepared = prepared
        self.watch = watch
        self.id = run_id or new_run_id()
        self.goes_on = ""
        """Whose run of the same content goes on after this one, which has only watched it."""
        self.taken_over: tuple[TakeOver, ...] = ()
        """What became of the services that are kept up apart from runs."""
        self._stopping = threading.Event()

    def carry_out(
        self,
        listener: Callable[[Observation], None] = lambda _: None,
        on_services_up: Callable[[RunHistory], None] = lambda _: None,
    ) -> RunHistory:
        """Run to the end, or until stopped; with `watch`, keep services running until stopped.

        Raises TargetError when another run of this application is running, or when models cannot be signed, and
        PolicyRefused when its plan breaks a policy of the file.
        """
        _require_signing(self.prepared.plan)
        require_rights(self.prepared)
        gate = gate_of(self.prepared)
        judged = gate.opening() if gate is not None else None
        if self.watch:
            _require_unkept(self.prepared)
        state = self.prepared.state
        state.make()
        lock = RunLock(state.lock)
        until_planned = self._take(lock)
        session = self.prepared.target.open(self.id, watch=self.watch)
        journal = Journal(state.journal(self.id))

        def heard(seen: Observation) -> None:
            if seen.event == PLANNED:
                # What this run needs is in its journal.
                until_planned.close()
            listener(seen)

        engine = Engine(session, journal, listener=heard)
        stopper = threading.Thread(target=self._stop_when_asked, args=(engine,), daemon=True)
        stopper.start()
        try:
            before = [run for run in state.run_ids() if run != self.id]
            number = state.run_number(before[-1]) + 1 if before else 1
            request = replace(self._request(number, listener), record=lambda seen: _record(seen, journal, listener))
            left_over = session.begin(request)
            keep_code(self.prepared.plan, state, self.prepared.file.directory)
            outcome = engine.run(
                self._begin(),
                self.prepared.facts,
                run=self.id,
                file=str(self.prepared.file.path),
                left_over=left_over,
                resumes=before[-1] if before else None,
                parameters=self.prepared.file.application.parameters,
                number=number,
                joins=session.joined(),
                forced=self.prepared.forced,
                driver=self._driver(engine, session),
                gate=gate,
                judged=judged,
            )
            self.goes_on = session.joined()
            session.steps_ended()
            happened = self._history()
            self._link_results(session, happened)
            if outcome != "stopped" and not self.watch:
                self.taken_over = tuple(self._take_over(journal, listener, happened))
            if self.watch and outcome == "done":
                on_services_up(happened)
                self._restart_services(engine, session)
                happened = self._history()
        finally:
            until_planned.close()
            self._stopping.set()
            session.close()
            journal.close()
            lock.release()
        return happened

    def _take(self, lock: RunLock) -> contextlib.ExitStack:
        """Take the lock of runs; no clean goes on until what is given back is closed."""
        with contextlib.ExitStack() as held:
            held.enter_context(beginning(self.prepared.state.gate))
            lock.acquire(self.id, self.prepared.plan.application, watches=self.watch)
            return held.pop_all()

    def _driver(self, engine: Engine, session: Session) -> Driver | None:
        """What decides on more steps as others end; None where the plan is all there is."""
        return None

    def _begin(self) -> Plan:
        """The steps that the run begins with."""
        return self.prepared.plan

    def _request(self, number: int, listener: Callable[[Observation], None]) -> RunRequest:
        """What those who use the same target may know of this run."""

        def say(text: str) -> None:
            # Not in the journal, whose first line is the plan.
            listener(run_observed("target", "run", Told(text=text)))

        forced = self.prepared.forced
        return RunRequest(content=self._content(), number=number, say=say, stopped=self._stopping.is_set, forced=forced)

    def _content(self) -> str:
        """A digest that is equal for runs that come to the same results."""
        return plan_content(self.prepared.plan, self.prepared.forced)

    def _take_over(
        self, journal: Journal, listener: Callable[[Observation], None], happened: RunHistory
    ) -> Iterator[TakeOver]:
        """Hand accepted versions over to the services that are up, and tell of each."""

        def say(text: str) -> None:
            _record(run_observed("engine", "run", Told(text=text)), journal, listener)

        for each in take_over(self.prepared, happened, say, self._stopping.is_set):
            say(each.text)
            yield each

    def stop(self) -> None:
        """Stop the run; it ends within seconds."""
        self._stopping.set()

    def _history(self) -> RunHistory:
        return history(read_journal(self.prepared.state.journal(self.id)), self.prepared.kinds.results)

    def _link_results(self, session: Session, happened: RunHistory) -> None:
        """Link the files of finished steps where users look for them."""
        done = {step.name for step in happened.steps if step.state == "done" and step.result.outputs}
        for step in self.prepared.plan.steps:
            if step.name in done:
                with contextlib.suppress(PlimsollError, OSError):
                    # The run is done without these files: the next run fetches them.
                    session.fetch(step)
                if any(self.prepared.state.on(step.target).output(step.key).glob("*")):
                    self.prepared.state.link_latest(step.name, step.key, step.target)

    def _stop_when_asked(self, engine: Engine) -> None:
        """Stop the engine from a separate thread, because a signal handler must not wait for locks."""
        self._stopping.wait()
        engine.stop()

    def _restart_services(self, engine: Engine, session: Session) -> None:
        """Restart a service when its server has died."""
        while not self._stopping.is_set():
            for name, reason in session.fallen():
                engine.restart(self.prepared.plan.step(f"serve/{name}"), reason)
            time.sleep(POLL_INTERVAL)


def _record(seen: Observation, journal: Journal, listener: Callable[[Observation], None]) -> None:
    journal.append(seen)
    listener(seen)


def _require_unkept(prepared: Prepared) -> None:
    """Raise TargetError for a service that is kept up already: it has its address, and moves to what is registered."""
    if KEEP not in prepared.target.features:
        return
    kept = prepared.target.features.require(KEEP).kept()
    names = [step.part for step in prepared.plan.steps if isinstance(step.work, Serve) and step.part in kept]
    if names:
        raise TargetError(
            f"plimsoll up keeps {', '.join(names)} up already",
            where="--watch",
            hint="run without --watch: the services move to what is registered; or end them with `plimsoll down`",
        )


def _require_signing(plan: Plan) -> None:
    """Raise TargetError before anything runs when a model could not be signed after its training."""
    models = [step.work.model for step in plan.steps if isinstance(step.work, Register)]
    if models:
        claims = [Claim(digest="", kind="models", names=(each,), subjects=1) for each in models]
        KeyRing.default().require_usable(*claims, Claim(digest="", kind="registry"))
