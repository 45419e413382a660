"""Runs a plan on a target: starts a step when the steps that it needs are done and the target has capacity for it."""

from __future__ import annotations

import contextlib
import queue
import threading
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from msgspec import Struct

from plimsoll.application.parameters import Parameter
from plimsoll.engine.capacity import FreeCapacity
from plimsoll.engine.waiting import WaitingSteps
from plimsoll.errors import PlimsollError, not_utf8
from plimsoll.evidence.journal import Journal
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import (
    AttemptEnded,
    AttemptFailed,
    Defect,
    PlannedStep,
    PoliciesJudged,
    RunEnded,
    RunEvent,
    RunPlanned,
    StepEnded,
    StepsAdded,
    StepStarted,
    WorkerEnded,
    WorkerStarted,
    event_of,
    run_observed,
)
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import AnyStep, Plan
from plimsoll.state.results import Result, result_to_json
from plimsoll.targets.port import RunningAttempt, Session

SOURCE = "engine"


class Backoff(Struct, frozen=True, kw_only=True):
    """Seconds between a failed attempt and the next: `first`, doubled each time, at most `most`."""

    first: float = 0.5
    most: float = 30.0

    def after(self, attempt: int) -> float:
        """Seconds to wait after attempt number `attempt` (from 1)."""
        return float(min(self.most, self.first * 2 ** (attempt - 1)))


class Driver(Protocol):
    """Decides while a run goes on what it goes on with. Both methods are called by the thread of the run."""

    def more(self) -> Sequence[AnyStep]:
        """Steps to add now; called at the beginning, and whenever steps have ended. None any more ends the run."""
        ...

    def ended(self, states: Mapping[str, str]) -> tuple[str, str]:
        """How the run has ended, `done`, `failed` or `stopped`, and why; by the states of its steps."""
        ...


class Judgement(Protocol):
    """What policies say of a step that is about to begin; a `refusal` ends it."""

    @property
    def event(self) -> PoliciesJudged:
        """What the journal is told."""
        ...

    @property
    def refusal(self) -> PlimsollError | None:
        """Why the step does not begin."""
        ...


class Gate(Protocol):
    """The policies of a run. `judge` is called from several threads."""

    def judge(self, step: AnyStep) -> Judgement | None:
        """Judge a step before it begins; None when there is nothing to judge. Raises PlimsollError."""
        ...


class Engine:
    """Executes one run. `listener` gets every observation after it is in the journal."""

    def __init__(
        self,
        session: Session,
        journal: Journal,
        *,
        listener: Callable[[Observation], None] = lambda _: None,
        backoff: Backoff | None = None,
    ) -> None:
        self.session = session
        self.journal = journal
        self.listener = listener
        self.backoff = backoff or Backoff()
        self._stopping = threading.Event()
        self._running: dict[str, RunningAttempt] = {}
        self._ended: queue.SimpleQueue[tuple[AnyStep, str]] = queue.SimpleQueue()
        self._states: dict[str, str] = {}
        self._forced: frozenset[str] = frozenset()
        self._gate: Gate | None = None
        self._given_up: dict[str, str] = {}

    def run(
        self,
        plan: Plan,
        facts: TargetFacts,
        *,
        run: str,
        file: str = "",
        left_over: int = 0,
        resumes: str | None = None,
        number: int = 0,
        parameters: Mapping[str, Parameter] | None = None,
        joins: str = "",
        forced: Collection[str] = (),
        driver: Driver | None = None,
        gate: Gate | None = None,
        judged: PoliciesJudged | None = None,
    ) -> str:
        """Run the plan, and what a `driver` adds to it; returns `done`, `failed` or `stopped`.

        Steps that are `forced` are carried out although they have results. A `gate` judges each step that is carried
        out; `judged` is what was found before. The other keywords go into the first line of the journal.
        """
        self._forced = frozenset(forced)
        self._gate = gate
        planned = RunPlanned(
            run=run,
            application=plan.application,
            target=plan.target,
            steps=tuple(_planned(step, plan.whys.get(step.name, "")) for step in plan.steps),
            file=file,
            left_over=left_over,
            resumes=resumes,
            number=number,
            parameters=parameters or {},
            joins=joins,
            forced=tuple(sorted(forced)),
            names=plan.names,
        )
        self.record("run", planned)
        if judged is not None:
            self.record("run", judged)
        waiting = WaitingSteps(plan.steps)
        capacity = FreeCapacity(facts)
        with ThreadPoolExecutor(max_workers=64, thread_name_prefix="step") as pool:
            try:
                while self._add_steps(driver, waiting) or waiting or capacity.reserved:
                    self._start_ready_steps(waiting, capacity, pool)
                    while self._add_steps(driver, waiting):
                        # Those that have ended at once, because their results were there.
                        self._start_ready_steps(waiting, capacity, pool)
                    if capacity.reserved:
                        step, state = self._ended.get()
                        capacity.release(step)
                        self._states[step.name] = state
                        waiting.settled(step.name, state)
                    else:
                        self._settle_unstartable(waiting)
            except BaseException:
                # For example a journal that cannot be written: do not wait for running steps.
                self.stop()
                raise
        state, reason = driver.ended(self._states) if driver else (self._state(), "")
        self.record("run", RunEnded(state=state, reason=reason))
        return state

    def stop(self) -> None:
        """Stop running steps and start no more; `run` returns within seconds. Safe from any thread."""
        self._stopping.set()
        for attempt in list(self._running.values()):
            attempt.stop()

    def give_up(self, step: str, reason: str) -> None:
        """Stop one running step, which ends as `stopped` for this reason; the run goes on. Safe from any thread."""
        if step not in self._given_up:
            self._given_up[step] = reason
            if attempt := self._running.get(step):
                attempt.stop()

    def restart(self, step: AnyStep, reason: str) -> str:
        """Run a finished step again, for example a service that died; returns its state."""
        self.record(step.name, AttemptFailed(attempt=0, reason=reason, again_in=0.0))
        return self._attempts(step)

    def _add_steps(self, driver: Driver | None, waiting: WaitingSteps) -> bool:
        """Add what the driver goes on with; returns whether there was something."""
        steps = driver.more() if driver is not None and not self._stopping.is_set() else ()
        if steps:
            self.record("run", StepsAdded(steps=tuple(map(_planned, steps))))
            waiting.add(steps, self._states)
        return bool(steps)

    def _start_ready_steps(self, waiting: WaitingSteps, capacity: FreeCapacity, pool: ThreadPoolExecutor) -> None:
        """Start or settle every step whose turn it is."""
        for step, blocker in waiting.turns(capacity.reserve):
            if self._stopping.is_set():
                capacity.release(step)
                self._settle(step, "stopped", reason="the run was stopped")
                break
            if blocker:
                waiting.settled(step.name, self._settle(step, "skipped", reason=blocker))
                continue
            result = None if step.name in self._forced else self.session.result(step)
            if result is None:
                pool.submit(self._run_step, step)
            else:
                capacity.release(step)
                waiting.settled(step.name, self._settle(step, "done", cached=result))
        if self._stopping.is_set():
            for step, _ in waiting.take_all():
                self._settle(step, "stopped", reason="the run was stopped")

    def _settle_unstartable(self, waiting: WaitingSteps) -> None:
        """Settle what is left when nothing runs any more: it would wait for ever. A checked plan has no such steps."""
        for step, missing in waiting.take_all():
            reason = f"it needs {missing}, which does not run" if missing else "the target has no capacity for it"
            self._settle(step, "failed", reason=reason)

    def _run_step(self, step: AnyStep) -> None:
        """Make all attempts at one step; runs on its own thread."""
        state = "failed"
        try:
            self._judge(step)
            state = self._attempts(step)
        except PlimsollError as error:
            self._settle_quietly(step, str(error))
        except UnicodeEncodeError as error:
            self._settle_quietly(step, str(not_utf8(error)))
        except Exception as error:  # noqa: BLE001 - a defect of plimsoll must end the step, not hang the run
            with contextlib.suppress(PlimsollError):
                self.record(step.name, Defect(trace=traceback.format_exc()))
            self._settle_quietly(
                step, f"this is a defect of plimsoll ({error!r}): please report it with the journal of the run"
            )
        finally:
            self._ended.put((step, state))

    def _judge(self, step: AnyStep) -> None:
        """Raise PlimsollError for a step that policies forbid."""
        judged = self._gate.judge(step) if self._gate is not None else None
        if judged is not None:
            self.record(step.name, judged.event)
            if judged.refusal is not None:
                raise judged.refusal

    def _attempts(self, step: AnyStep) -> str:
        self.record(step.name, StepStarted(key=step.key))
        for number in range(1, step.retries + 2):
            last = self._attempt(step, number)
            if last.outcome == "done":
                return self._settle_done(step, last)
            if stopped := self._given_up.get(step.name) or (self._stopping.is_set() and "the run was stopped"):
                return self._settle(step, "stopped", reason=stopped)
            if number > step.retries or last.lasting:
                break
            pause = self.backoff.after(number)
            self.record(step.name, AttemptFailed(attempt=number, reason=last.reason, again_in=pause))
            if self._stopping.wait(pause):
                return self._settle(step, "stopped", reason="the run was stopped")
        self.record(step.name, AttemptFailed(attempt=number, reason=last.reason))
        return self._settle(step, "failed", reason=last.reason)

    def _attempt(self, step: AnyStep, number: int) -> AttemptEnded:
        """Make one attempt; returns how it ended."""
        attempt = self.session.start(step, number)
        self._running[step.name] = attempt
        if self._stopping.is_set() or step.name in self._given_up:
            attempt.stop()
        try:
            seen = None
            for seen in attempt:
                self._write(seen)
        finally:
            del self._running[step.name]
        last = event_of(seen) if seen else None
        if not isinstance(last, AttemptEnded):
            raise PlimsollError("the target ended an attempt without an attempt-ended observation", where=step.name)
        return last

    def _settle_done(self, step: AnyStep, last: AttemptEnded) -> str:
        self.record(step.name, StepEnded(state="done", result=last.result))
        self._states[step.name] = "done"
        return "done"

    def _settle(self, step: AnyStep, state: str, *, reason: str = "", cached: Result | None = None) -> str:
        result = {} if cached is None else result_to_json(cached)
        self.record(step.name, StepEnded(state=state, cached=cached is not None, reason=reason, result=result))
        self._states[step.name] = state
        return state

    def _settle_quietly(self, step: AnyStep, reason: str) -> None:
        """Settle a failed step; stop the run when the journal itself cannot be written."""
        try:
            self._settle(step, "failed", reason=reason)
        except PlimsollError:
            self._stopping.set()

    def _state(self) -> str:
        states = set(self._states.values())
        if "failed" in states:
            return "failed"
        return "stopped" if "stopped" in states else "done"

    def record(self, subject: str, event: RunEvent) -> None:
        """Write an event to the journal, and tell the listener. Raises PlimsollError when the disk does not take it."""
        self._write(run_observed(SOURCE, subject, event))

    def _write(self, observation: Observation) -> None:
        # Nothing is decided by these, and of a large gang there are thousands within seconds.
        if isinstance(event_of(observation), WorkerStarted | WorkerEnded):
            self.journal.note(observation)
        else:
            self.journal.append(observation)
        self.listener(observation)


def _planned(step: AnyStep, why: str = "") -> PlannedStep:
    """A step as the journal records it, with the ingredients that a later plan compares."""
    return PlannedStep(
        name=step.name,
        key=step.key,
        needs=step.needs,
        workers=step.workers,
        ingredients=tuple((part.kind, part.name, part.digest) for part in step.ingredients),
        target=step.target,
        why=why,
        stays=step.stays,
    )
