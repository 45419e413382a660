"""A sweep as one run of an application: its lock, its journal, its session; the steps of its trials side by side."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parameters import as_text
from plimsoll.engine.application_run import ApplicationRun
from plimsoll.engine.history import RunHistory
from plimsoll.engine.preparation import Prepared, planned
from plimsoll.engine.runner import Driver, Engine
from plimsoll.engine.sweep.driver import SweepDriver, TrialPlans
from plimsoll.engine.sweep.earlier import earlier_trials
from plimsoll.engine.sweep.early_stopping import EarlyStopping
from plimsoll.engine.sweep.median_rule import MedianRule
from plimsoll.engine.sweep.objective import Objective
from plimsoll.engine.sweep.search import Values, search_of
from plimsoll.engine.sweep.space import Dimension, Space
from plimsoll.engine.sweep.trials import Sweep, Trial
from plimsoll.errors import FileError, PlimsollError, TargetError
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import SweepPlanned
from plimsoll.kinds.model import MODELS
from plimsoll.kinds.register import Register
from plimsoll.kinds.train import TrainGang
from plimsoll.planning.keys import text_digest
from plimsoll.planning.selection import select_steps
from plimsoll.planning.steps import Plan
from plimsoll.targets.features import CURVES
from plimsoll.targets.port import Session

MOST_PARALLEL = 32
"""Trials at once, unless `--parallel` says how many: those that wait for capacity would be chosen too early."""


class SweepRequest(Struct, frozen=True, kw_only=True):
    """What is asked for. `parallel` is the most trials at once; None leaves it to the capacity of the target."""

    model: str
    space: Space
    objective: Objective
    trials: int | None = None
    seed: int = 0
    parallel: int | None = None
    rule: MedianRule | None = None
    retry_failed: bool = False


class SweepRun(ApplicationRun):
    """Runs a sweep. `prepared` has the plan of the model with its registration, at the defaults of the parameters."""

    def __init__(self, prepared: Prepared, request: SweepRequest) -> None:
        super().__init__(prepared)
        self.request = request
        _require_read(prepared, request)
        self._workspace = prepared.kinds.workspace(prepared.file, prepared.target.state.digests)
        self._search = search_of(
            request.space, trials=request.trials, seed=request.seed, maximize=request.objective.maximize
        )
        self.planned = self._planned()
        self._curves = prepared.target.features.require(CURVES) if request.rule is not None else None
        self._sweep_driver: SweepDriver | None = None
        self._stopping_early: EarlyStopping | None = None

    @property
    def sweep(self) -> Sweep:
        """The sweep so far."""
        return self._sweep_driver.sweep if self._sweep_driver is not None else Sweep(planned=self.planned)

    def carry_out(
        self,
        listener: Callable[[Observation], None] = lambda _: None,
        on_services_up: Callable[[RunHistory], None] = lambda _: None,
    ) -> RunHistory:
        """As a run, to the end of all trials and the registration of the best accepted one."""

        def listen(seen: Observation) -> None:
            if self._sweep_driver is not None:
                self._sweep_driver.observe(seen)
            listener(seen)

        try:
            return super().carry_out(listen, on_services_up)
        finally:
            if self._stopping_early is not None:
                self._stopping_early.stop()

    def trial_plan(self, values: Values, *steps: str) -> Plan:
        """The plan of the application with these values, for these steps and what they need."""
        prepared = self.prepared
        return select_steps(
            planned(prepared.kinds, _with_values(prepared.file, values), self._workspace, prepared.facts), steps
        )

    def _begin(self) -> Plan:
        return replace(self.prepared.plan, steps=(), notes={})

    def _content(self) -> str:
        return self.planned.id

    def _driver(self, engine: Engine, session: Session) -> Driver | None:
        if whose := session.joined():
            raise TargetError(
                f"{whose} carries out this sweep already",
                where=self.prepared.target.name,
                hint="wait for it, and sweep again: its finished trials are kept",
            )
        request, state = self.request, self.prepared.state
        register = f"{Register.verb}/{request.model}"
        train = f"{TrainGang.verb}/{request.model}"
        self._sweep_driver = SweepDriver(
            self.planned,
            self._search,
            TrialPlans(
                training=lambda values: self.trial_plan(values, train),
                registration=lambda values: self.trial_plan(values, register),
                train=train,
            ),
            accept=MODELS.of(self.prepared.file.application)[request.model].accept,
            parallel=request.parallel or self._room(train),
            earlier=_tried(earlier_trials(state, self.planned.id, self.id), retry_failed=request.retry_failed),
            record=engine.record,
        )
        if request.rule is not None and self._curves is not None:
            read = partial(self._curves, session)
            self._stopping_early = EarlyStopping(request.rule, self._sweep_driver, read, engine.give_up)
            self._stopping_early.start()
        return self._sweep_driver

    def _room(self, train: str) -> int:
        """Trials that the target has room for at once."""
        from plimsoll.engine.capacity import demand_of

        step = self.prepared.plan.step(train)
        facts = self.prepared.facts.of(step.target)
        has = (facts.cpu, facts.memory, facts.accelerators)
        _, *wanted = demand_of(step)
        # A cluster whose nodes may not be seen has room without a limit.
        room = [there / one for there, one in zip(has, wanted, strict=True) if one]
        return max(1, int(min([MOST_PARALLEL, *room]) + 1e-9))

    def _planned(self) -> SweepPlanned:
        request = self.request
        searched = {each.name: _words(each) for each in request.space.dimensions}
        first = {each.name: each.first for each in request.space.dimensions}
        plan = self.trial_plan(first, f"{Register.verb}/{request.model}")
        rule = request.rule
        definition = [
            plan.step(f"{TrainGang.verb}/{request.model}").key,
            [[each.method, each.name, _words(each)] for each in request.space.dimensions],
            [request.objective.name, request.objective.maximize, request.seed],
            [rule.series.name, rule.series.maximize, rule.grace] if rule else [],
        ]
        return SweepPlanned(
            id=text_digest(json.dumps(definition)),
            model=request.model,
            objective=request.objective.name,
            maximize=request.objective.maximize,
            searched=searched,
            trials=self._search.trials,
        )

    def _link_results(self, session: Session, happened: RunHistory) -> None:
        """Link the files of the winner where users look for those of its model."""
        best = self.sweep.best
        if best is None or self._sweep_driver is None or happened.state != "done":
            return
        step = self._sweep_driver.trainings[best.train]
        with contextlib.suppress(PlimsollError, OSError):
            session.fetch(step)
        if any(self.prepared.state.on(step.target).output(step.key).glob("*")):
            self.prepared.state.link_latest(f"{TrainGang.verb}/{self.request.model}", step.key, step.target)


def _tried(earlier: Mapping[int, Trial], *, retry_failed: bool) -> dict[int, Trial]:
    return {
        number: replace(trial, state="running") if retry_failed and trial.state == "failed" else trial
        for number, trial in earlier.items()
    }


def _with_values(file: ApplicationFile, values: Values) -> ApplicationFile:
    application = file.application
    return replace(file, application=replace(application, parameters={**application.parameters, **values}))


def _require_read(prepared: Prepared, request: SweepRequest) -> None:
    """Raise FileError for a parameter that neither the training nor anything that it needs is given."""
    given = {part.name for step in prepared.plan.steps for part in step.ingredients if part.kind == "parameter"}
    for each in request.space.dimensions:
        if each.name not in given:
            listed = ", ".join(sorted(given)) or "none"
            raise FileError(
                f"the training of '{request.model}' does not depend on the parameter '{each.name}'",
                where=f"--{each.method}",
                hint=f"it depends on: {listed}",
            )


def _words(each: Dimension) -> str:
    """The values of a dimension as the command line names them."""
    if each.choices:
        return ",".join(map(as_text, each.choices))
    low, high = (int(end) if each.whole else end for end in (each.low, each.high))
    return f"{'log:' if each.log else ''}{low}:{high}"


def model_to_sweep(file: ApplicationFile, name: str | None) -> str:
    """The model that is named, or the only one. Raises FileError."""
    models: Sequence[str] = list(MODELS.of(file.application))
    if name is None and len(models) == 1:
        return models[0]
    if name is None:
        text = "several models could be meant" if models else "the file has no model"
        hint = f"plimsoll sweep MODEL, one of: {', '.join(models)}" if models else "a sweep is of a training"
        raise file.error(text, hint, "spec", "models")
    MODELS.check_reference(file, name, "spec", "models", whole=False)
    return name
