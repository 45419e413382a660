"""Drives a sweep: begins trials as others end, stops the hopeless ones, and has the best accepted one registered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from plimsoll.engine.sweep.search import Search, Values
from plimsoll.engine.sweep.trial_steps import TrialSteps
from plimsoll.engine.sweep.trials import Sweep, Trial
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import (
    RunEvent,
    StepEnded,
    StepStarted,
    SweepPlanned,
    TrialBegun,
    TrialEnded,
    event_of,
)
from plimsoll.planning.steps import AnyStep, Plan
from plimsoll.registry.versions import missed_bounds

SUBJECT = "sweep"
"""The subject of the events of a sweep in its journal."""


class TrialPlans(Struct, frozen=True, kw_only=True):
    """`training` plans the training of a trial with these values, `registration` also the registration of its model."""

    training: Callable[[Values], Plan]
    registration: Callable[[Values], Plan]
    train: str
    """The name of the training in each plan."""


class SweepDriver:
    """The driver of an engine. The observations of the run have to be given to `observe`."""

    def __init__(
        self,
        planned: SweepPlanned,
        search: Search,
        plans: TrialPlans,
        *,
        accept: Mapping[str, str],
        parallel: int,
        earlier: Mapping[int, Trial],
        record: Callable[[str, RunEvent], None],
    ) -> None:
        """`earlier` has the trials of sweeps before this one that searched the same, `record` writes to the journal."""
        self._planned = planned
        self._search = search
        self._plans = plans
        self._accept = accept
        self._parallel = parallel
        self._earlier = earlier
        self._record = record
        self._steps = TrialSteps(planned.searched)
        self._trials: dict[int, Trial] = {}
        self._started: dict[str, datetime] = {}
        self._ends: dict[str, tuple[StepEnded, float]] = {}
        self._next: int | None = 1
        self._registers = ""
        self._announced = False
        self.trainings: dict[str, AnyStep] = {}
        """The training of each trial, by its name in the run."""
        self.given_up: set[str] = set()
        """Trainings that are stopped early; whoever stops one says so here first."""

    @property
    def sweep(self) -> Sweep:
        """The sweep so far."""
        return Sweep(planned=self._planned, trials=tuple(self._trials.values()))

    def observe(self, seen: Observation) -> None:
        """Take note of what happens in the run. Safe from any thread."""
        event = event_of(seen)
        if isinstance(event, StepStarted):
            self._started[seen.subject] = seen.at
        elif isinstance(event, StepEnded):
            began = self._started.get(seen.subject, seen.at)
            self._ends[seen.subject] = event, max(0.0, (seen.at - began).total_seconds())

    def more(self) -> Sequence[AnyStep]:
        """The steps of the trials that begin now; at the end, the registration of the best accepted one."""
        if not self._announced:
            self._announced = True
            self._record(SUBJECT, self._planned)
        steps: list[AnyStep] = []
        while True:
            self._end_trials()
            begun = self._begin_trial() if len(self.running()) < self._parallel else None
            if begun is None:
                break
            steps += begun
        if self._next is None and not self.running() and not self._registers and (best := self.sweep.best):
            added, names = self._steps.of_winner(self._plans.registration(best.parameters))
            self._registers = next(name for planned, name in names.items() if planned.startswith("register/"))
            steps += added
        return steps

    def ended(self, states: Mapping[str, str]) -> tuple[str, str]:
        """How the sweep has ended."""
        self._end_trials()
        if self._next is not None or self.running() or states.get(self._registers) == "stopped":
            return "stopped", ""
        if not self._registers:
            return "failed", "no trial is accepted"
        if states.get(self._registers) != "done":
            return "failed", f"{self._registers} failed"
        return "done", ""

    @property
    def registered(self) -> str:
        """The step that registers the winner; empty until there is one."""
        return self._registers

    def running(self) -> list[Trial]:
        """The trials that have begun and not ended."""
        return [trial for trial in self._trials.values() if trial.state == "running"]

    def _begin_trial(self) -> list[AnyStep] | None:
        """The new steps of the next trial; None when there is no other trial."""
        if self._next is None:
            return None
        number, known = self._next, self._earlier.get(self._next)
        if known is not None and number <= self._search.trials:
            values: Values | None = known.parameters
            self._search.recall(number, known.parameters)
        else:
            values = self._search.values(number)
        if values is None:
            self._next = None
            return None
        self._next = number + 1
        if known is not None and known.state in ("failed", "stopped"):
            # What came to nothing comes to nothing again: none of its steps is done, not even those that others share.
            self._begin(number, values, known.train)
            self._end(number, known)
            return []
        steps, names = self._steps.of_trial(self._plans.training(values), number)
        train = names[self._plans.train]
        self.trainings |= {step.name: step for step in steps if step.name == train}
        self._begin(number, values, train)
        return steps

    def _begin(self, number: int, values: Values, train: str) -> None:
        self._trials[number] = Trial(number=number, parameters=values, train=train)
        self._record(SUBJECT, TrialBegun(number=number, parameters=values, train=train))

    def _end_trials(self) -> None:
        for trial in self.running():
            if trial.train in self._ends:
                ended = self._outcome(trial, *self._ends[trial.train])
                if ended is not None:
                    self._end(trial.number, ended)

    def _outcome(self, trial: Trial, end: StepEnded, seconds: float) -> Trial | None:
        """The trial as its training has ended it; None for one that ended with the run."""
        if end.state == "stopped" and trial.train not in self.given_up:
            return None
        known = self._earlier.get(trial.number)
        seconds = known.seconds if end.cached and known is not None else seconds
        if end.state != "done":
            state = "stopped" if end.state == "stopped" else "failed"
            return replace(trial, state=state, reason=end.reason, seconds=seconds)
        figures = end.result.get("metrics", {})
        value = figures.get(self._planned.objective)
        if value is None:
            has = ", ".join(list(figures)[:8]) or "no figure"
            reason = f"metrics.json has no figure '{self._planned.objective}'; it has {has}"
            return replace(trial, state="failed", reason=reason, figures=figures, seconds=seconds)
        refusals = missed_bounds(figures, self._accept)
        return replace(trial, state="done", value=value, figures=figures, refusals=refusals, seconds=seconds)

    def _end(self, number: int, ended: Trial) -> None:
        event = TrialEnded(
            number=number,
            state=ended.state,
            value=ended.value,
            figures=ended.figures,
            refusals=ended.refusals,
            reason=ended.reason,
            seconds=ended.seconds,
        )
        self._record(SUBJECT, event)
        self._trials[number] = ended
        self._search.tell(number, ended.state, ended.value)
