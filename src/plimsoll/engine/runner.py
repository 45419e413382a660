"""Runs a plan on a target: steps as soon as what they need is done and the target has room for them."""

from __future__ import annotations

import contextlib
import queue
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from msgspec import Struct

from plimsoll.engine.capacity import Room
from plimsoll.errors import PlimsollError
from plimsoll.evidence.journal import Journal
from plimsoll.evidence.observation import Observation, observed
from plimsoll.planning.facts import Facts
from plimsoll.planning.steps import Plan, Step
from plimsoll.targets.base import Handle, Target

SOURCE = "engine"


class Backoff(Struct, frozen=True, kw_only=True):
    """Seconds between an attempt that failed and the next: `first`, doubled each time, at most `most`."""

    first: float = 0.5
    most: float = 30.0

    def after(self, attempt: int) -> float:
        """Seconds to wait after attempt number `attempt` (from 1)."""
        return float(min(self.most, self.first * 2 ** (attempt - 1)))


class Engine:
    """One run. `listener` is told of every observation after it stands in the journal."""

    def __init__(
        self,
        target: Target,
        journal: Journal,
        *,
        listener: Callable[[Observation], None] = lambda _: None,
        backoff: Backoff | None = None,
    ) -> None:
        self.target = target
        self.journal = journal
        self.listener = listener
        self.backoff = backoff or Backoff()
        self._stopping = threading.Event()
        self._under_way: dict[str, Handle] = {}
        self._ended: queue.SimpleQueue[tuple[Step, str]] = queue.SimpleQueue()
        self._states: dict[str, str] = {}

    def run(self, plan: Plan, facts: Facts, **about: Any) -> str:
        """Carry the plan out; gives `done`, `failed` or `stopped`. `about` goes into the first observation."""
        self._record("run", "run-planned", **about, **_described(plan))
        waiting = list(plan.steps)
        room = Room(facts)
        with ThreadPoolExecutor(max_workers=64, thread_name_prefix="step") as pool:
            try:
                while waiting or room.taken:
                    waiting = self._start_what_can(waiting, room, pool)
                    if room.taken:
                        step, state = self._ended.get()
                        room.give_back(step)
                        self._states[step.name] = state
            except BaseException:
                # Such as a journal that cannot be written: what runs must not be waited for.
                self.stop()
                raise
        state = self._state()
        self._record("run", "run-ended", state=state)
        return state

    def stop(self) -> None:
        """End what runs and start nothing more; `run` then returns within seconds. Safe from any thread."""
        self._stopping.set()
        for handle in list(self._under_way.values()):
            self.target.stop(handle)

    def again(self, step: Step, reason: str) -> str:
        """Carry out a step once more whose work has been undone, such as a service that died; gives its state."""
        self._record(step.name, "attempt-failed", attempt=0, reason=reason, again_in=0.0)
        return self._attempts(step)

    def _start_what_can(self, waiting: list[Step], room: Room, pool: ThreadPoolExecutor) -> list[Step]:
        """Start or settle every step whose turn it is; gives those that still wait."""
        left = []
        for step in waiting:
            blocker = next((name for name in step.needs if self._states.get(name, "done") != "done"), None)
            if self._stopping.is_set():
                self._settle(step, "stopped", reason="the run was stopped")
            elif blocker:
                self._settle(step, "skipped", reason=f"{blocker} {self._states[blocker]}")
            elif any(name not in self._states for name in step.needs) or not room.take(step):
                left.append(step)
            else:
                result = self.target.result(step)
                if result is None:
                    pool.submit(self._carry_out, step)
                else:
                    room.give_back(step)
                    self._settle(step, "done", cached=True, result=result)
        return left if room.taken or len(left) == len(waiting) else self._start_what_can(left, room, pool)

    def _carry_out(self, step: Step) -> None:
        """All attempts at one step, on a thread of its own."""
        state = "failed"
        try:
            state = self._attempts(step)
        except PlimsollError as error:
            self._settle_quietly(step, str(error))
        except Exception as error:  # noqa: BLE001 - a defect of ours must end the step, not hang the run
            with contextlib.suppress(PlimsollError):
                self._record(step.name, "defect", trace=traceback.format_exc())
            self._settle_quietly(step, f"internal error: {error!r}; please report it with the run's journal")
        finally:
            self._ended.put((step, state))

    def _attempts(self, step: Step) -> str:
        self._record(step.name, "step-started", key=step.key)
        for attempt in range(1, step.retries + 2):
            last = self._attempt(step, attempt)
            outcome = last.fact["outcome"]
            if self._stopping.is_set() and outcome != "done":
                return self._settle(step, "stopped", reason="the run was stopped")
            if outcome == "done":
                return self._settle(step, "done", result=last.fact["result"])
            reason = last.fact["reason"]
            if attempt > step.retries or last.fact.get("lasting"):
                break
            pause = self.backoff.after(attempt)
            self._record(step.name, "attempt-failed", attempt=attempt, reason=reason, again_in=pause)
            if self._stopping.wait(pause):
                return self._settle(step, "stopped", reason="the run was stopped")
        self._record(step.name, "attempt-failed", attempt=attempt, reason=reason, again_in=None)
        return self._settle(step, "failed", reason=reason)

    def _attempt(self, step: Step, attempt: int) -> Observation:
        """One attempt; gives its last observation."""
        handle = self.target.start(step, attempt)
        self._under_way[step.name] = handle
        if self._stopping.is_set():
            self.target.stop(handle)
        try:
            last = None
            for last in self.target.observe(handle):
                self._write(last)
        finally:
            del self._under_way[step.name]
        if last is None or last.event != "attempt-ended":
            raise PlimsollError("the target ended an attempt without saying how", where=step.name)
        return last

    def _settle(self, step: Step, state: str, *, cached: bool = False, reason: str = "", result: Any = None) -> str:
        self._record(step.name, "step-ended", state=state, cached=cached, reason=reason, result=result or {})
        self._states[step.name] = state
        return state

    def _settle_quietly(self, step: Step, reason: str) -> None:
        """End a step whose journal may be what failed: the run then ends for want of it."""
        try:
            self._settle(step, "failed", reason=reason)
        except PlimsollError:
            self._stopping.set()

    def _state(self) -> str:
        states = set(self._states.values())
        if "failed" in states:
            return "failed"
        return "stopped" if "stopped" in states else "done"

    def _record(self, subject: str, event: str, **values: Any) -> None:
        self._write(observed(SOURCE, subject, event, **values))

    def _write(self, observation: Observation) -> None:
        self.journal.append(observation)
        self.listener(observation)


def _described(plan: Plan) -> dict[str, Any]:
    """The plan as it stands in the journal: enough to say later what changed."""
    return {
        "application": plan.application,
        "target": plan.target,
        "steps": [
            {
                "name": step.name,
                "key": step.key,
                "needs": step.needs,
                "workers": step.workers,
                "ingredients": [[part.kind, part.name, part.digest] for part in step.ingredients],
            }
            for step in plan.steps
        ],
    }
