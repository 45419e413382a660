"""One run of an application on a target, from taking the lock to giving it back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from plimsoll.engine.history import RunHistory, history
from plimsoll.engine.preparation import Prepared, runs
from plimsoll.engine.runner import Engine
from plimsoll.evidence.journal import NAME, Journal, read_journal
from plimsoll.evidence.observation import Observation
from plimsoll.state.lock import RunLock
from plimsoll.targets.base import Session

LOOK = 0.2
"""Seconds between two looks at whether services are up."""


def new_run_id() -> str:
    """An id that sorts by time, to the microsecond: several runs may begin in one second."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"


class ApplicationRun:
    """Carries a prepared application out. `stop` may be called from any thread or a signal handler."""

    def __init__(self, prepared: Prepared, *, watch: bool = False) -> None:
        self.prepared = prepared
        self.watch = watch
        self.id = new_run_id()
        self._stopping = threading.Event()

    def carry_out(
        self,
        listener: Callable[[Observation], None],
        on_services_up: Callable[[RunHistory], None] = lambda _: None,
    ) -> RunHistory:
        """Run to the end, or until stopped; with `watch`, keep services up until stopped.

        Raises TargetError when another run of this application is under way.
        """
        state = self.prepared.state
        state.make()
        lock = RunLock(state.lock)
        lock.acquire(self.id, self.prepared.plan.application)
        target = self.prepared.site.open(self.id, watch=self.watch)
        journal = Journal(state.runs / self.id / NAME)
        engine = Engine(target, journal, listener=listener)
        stopper = threading.Thread(target=self._stop_when_asked, args=(engine,), daemon=True)
        stopper.start()
        try:
            left_over = target.begin()
            about: dict[str, Any] = {"run": self.id, "file": str(self.prepared.file.path), "left_over": left_over}
            before = runs(state)[:-1]
            outcome = engine.run(
                self.prepared.plan, self.prepared.facts, **about, resumes=before[-1] if before else None
            )
            self._link_results(journal)
            if self.watch and outcome == "done":
                on_services_up(history(read_journal(journal.path)))
                self._keep_up(engine, target)
        finally:
            self._stopping.set()
            target.close()
            journal.close()
            lock.release()
        return history(read_journal(journal.path))

    def stop(self) -> None:
        """End the run within seconds."""
        self._stopping.set()

    def _link_results(self, journal: Journal) -> None:
        for step in history(read_journal(journal.path)).steps:
            here = self.prepared.state.output(step.key).is_dir()
            if step.state == "done" and here and step.result.get("outputs") and "path" not in step.result:
                self.prepared.state.link_latest(step.name, step.key)

    def _stop_when_asked(self, engine: Engine) -> None:
        """On a thread of its own, for a signal handler must not wait for locks."""
        self._stopping.wait()
        engine.stop()

    def _keep_up(self, engine: Engine, target: Session) -> None:
        """Start a service again when its server has died."""
        while not self._stopping.is_set():
            for name, words in target.fallen():
                engine.again(self.prepared.plan.step(f"serve/{name}"), words)
            time.sleep(LOOK)
