"""Watches the curves of the trials that run, and gives up those that the median rule stops."""

from __future__ import annotations

import threading
from collections.abc import Callable

from plimsoll.engine.sweep.driver import SweepDriver
from plimsoll.engine.sweep.median_rule import Curve, MedianRule
from plimsoll.planning.steps import AnyStep

PERIOD = 0.5
"""Seconds between two looks at the curves."""


class EarlyStopping:
    """A thread, from `start` until `stop`. `read` gives the points of a series of a step's metrics.jsonl so far."""

    def __init__(
        self,
        rule: MedianRule,
        driver: SweepDriver,
        read: Callable[[AnyStep, str], Curve],
        give_up: Callable[[str, str], None],
    ) -> None:
        self._rule = rule
        self._driver = driver
        self._read = read
        self._give_up = give_up
        self._ending = threading.Event()
        self._finished: dict[str, Curve] = {}

    def start(self) -> None:
        """Watch until `stop`."""
        threading.Thread(target=self._watch, daemon=True, name="early-stopping").start()

    def stop(self) -> None:
        """Watch no more."""
        self._ending.set()

    def look(self) -> None:
        """Look at all curves once."""
        trials = self._driver.sweep.trials
        for trial in trials:
            if trial.state == "done" and trial.train not in self._finished:
                self._finished[trial.train] = self._curve(trial.train)
        for trial in trials:
            if trial.state != "running" or trial.train in self._driver.given_up:
                continue
            others = [curve for name, curve in self._finished.items() if name != trial.train]
            if reason := self._rule.verdict(self._curve(trial.train), others):
                self._driver.given_up.add(trial.train)
                self._give_up(trial.train, reason)

    def _curve(self, train: str) -> Curve:
        step = self._driver.trainings.get(train)
        return self._read(step, self._rule.series.name) if step is not None else ()

    def _watch(self) -> None:
        while not self._ending.wait(PERIOD):
            self.look()
