"""The history of a run, computed from its observations alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import (
    AttemptEnded,
    AttemptFailed,
    Carried,
    PlannedStep,
    PoliciesJudged,
    PolicyFinding,
    RunEnded,
    RunEvent,
    RunPlanned,
    Scalar,
    StepEnded,
    StepsAdded,
    StepStarted,
    SweepPlanned,
    Waiting,
    WorkerEnded,
    WorkerStarted,
    event_of,
    listed_targets,
)
from plimsoll.kinds.table import KINDS
from plimsoll.state.results import Result, result_from_json


class WorkerHistory(Struct, frozen=True, kw_only=True):
    """One process of an attempt. `signal` is the number of the signal that ended it, if one did."""

    rank: int
    pid: int
    attempt: int
    started: datetime
    ended: datetime | None = None
    code: int | None = None
    signal: int | None = None
    cpu_seconds: float = 0.0
    peak_memory: int = 0


class StepHistory(Struct, frozen=True, kw_only=True):
    """One step of a run. `state` is `waiting`, `running`, `done`, `failed`, `skipped` or `stopped`.

    `result` has the step's own type; it is empty until the step is done. `awaits` is what a running step waits for.
    Of a run over several targets, `target` is the one that carries the step out, `why` says why, and `stays` is the one
    that its rows must not leave. `carried` is what came from another target, or went to one, with the step.
    """

    name: str
    key: str
    needs: tuple[str, ...] = ()
    state: str = "waiting"
    cached: bool = False
    started: datetime | None = None
    ended: datetime | None = None
    reason: str = ""
    awaits: str = ""
    attempts: int = 0
    failures: tuple[str, ...] = ()
    workers: tuple[WorkerHistory, ...] = ()
    result: Result = Result()
    target: str = ""
    why: str = ""
    stays: str = ""
    carried: tuple[Carried, ...] = ()

    @property
    def verb(self) -> str:
        """The first word of the name: what the step does."""
        return self.name.partition("/")[0]

    @property
    def part(self) -> str:
        """The name of the part of the file that the step belongs to."""
        return self.name.partition("/")[2]

    @property
    def seconds(self) -> float:
        """Seconds from start to end; 0.0 for a step that has not run, and when the clock was set back in between."""
        return _seconds(self.started, self.ended)

    @property
    def metrics(self) -> Mapping[str, float]:
        """The figures of the step's metrics.json."""
        return self.result.metrics


class RunHistory(Struct, frozen=True, kw_only=True):
    """One run. `state` is `running`, `done`, `failed` or `stopped`; a killed run stays `running` (see `run_status`).

    `sweep` has the searched values of each parameter, where the run is a sweep. `names` maps the targets of a run over
    several to what the file calls them. `policies` are the newest findings of gates and rules about each thing.
    """

    run: str
    application: str
    target: str
    file: str = ""
    state: str = "running"
    reason: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    number: int = 0
    parameters: Mapping[str, Scalar] = {}
    sweep: Mapping[str, str] = {}
    names: Mapping[str, str] = {}
    policies: tuple[PolicyFinding, ...] = ()
    steps: tuple[StepHistory, ...] = ()

    @property
    def where(self) -> str:
        """The target, or all targets by what the file calls them."""
        return listed_targets(self.target, self.names)

    @property
    def carried(self) -> tuple[Carried, ...]:
        """All that has travelled from one target to another."""
        return tuple(each for step in self.steps for each in step.carried)

    def name_of(self, target: str) -> str:
        """What the file calls a target."""
        return self.names.get(target, target)

    @property
    def seconds(self) -> float:
        """Seconds from start to end; 0.0 while it runs, and when the clock was set back in between."""
        return _seconds(self.started, self.ended)

    def elapsed(self) -> float:
        """Seconds from the start to the end, or to now while it runs."""
        return self.seconds if self.ended else _seconds(self.started, datetime.now(UTC))

    def awaited(self) -> list[tuple[str, str]]:
        """What steps of a run under way wait for, by their names."""
        steps = self.steps if self.state == "running" else ()
        return [(step.name, step.awaits) for step in steps if step.state == "running" and step.awaits]

    def step(self, name: str) -> StepHistory:
        """The step of that name. Raises KeyError when the run has none."""
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)


def history(observations: Iterable[Observation], results: Mapping[str, type[Result]] | None = None) -> RunHistory:
    """The run that these observations record, in their order.

    `results` maps a verb to its type of result; by default the types of plimsoll's own kinds. Raises ValueError when
    the observations have no plan.
    """
    types = KINDS.results if results is None else results
    run: RunHistory | None = None
    steps: dict[str, StepHistory] = {}
    for seen in observations:
        event = event_of(seen)
        if isinstance(event, RunPlanned):
            run = _planned(event, seen.at)
            steps = {step.name: step for step in run.steps}
        elif isinstance(event, StepsAdded):
            steps |= {step.name: _waiting(step) for step in event.steps if step.name not in steps}
        elif run and isinstance(event, PoliciesJudged):
            run = replace(run, policies=_newest(run.policies, event.findings))
        elif run and isinstance(event, SweepPlanned):
            run = replace(run, sweep=event.searched)
        elif run and isinstance(event, RunEnded):
            run = replace(run, state=event.state, reason=event.reason, ended=seen.at)
        elif event is not None and seen.subject in steps:
            steps[seen.subject] = _apply_event(steps[seen.subject], event, seen.at, types)
    if run is None:
        raise ValueError("the observations have no plan")
    return replace(run, steps=tuple(steps.values()))


def _newest(before: tuple[PolicyFinding, ...], found: tuple[PolicyFinding, ...]) -> tuple[PolicyFinding, ...]:
    """Findings with later ones in place of earlier ones about the same thing, which were made when less was known."""
    again = {(each.gate, each.about) for each in found}
    there = {each.about.partition("@")[0] for each in found if each.verdict != "later"}
    kept = (
        each
        for each in before
        if (each.gate, each.about) not in again
        and not (each.verdict == "later" and each.about.removeprefix("models.") in there)
    )
    return (*kept, *found)


def _seconds(started: datetime | None, ended: datetime | None) -> float:
    return max(0.0, (ended - started).total_seconds()) if started and ended else 0.0


def _planned(event: RunPlanned, at: datetime) -> RunHistory:
    return RunHistory(
        run=event.run,
        application=event.application,
        target=event.target,
        file=event.file,
        number=event.number,
        parameters=event.parameters,
        names=event.names,
        started=at,
        steps=tuple(map(_waiting, event.steps)),
    )


def _waiting(step: PlannedStep) -> StepHistory:
    return StepHistory(
        name=step.name, key=step.key, needs=step.needs, target=step.target, why=step.why, stays=step.stays
    )


def _apply_event(step: StepHistory, event: RunEvent, at: datetime, types: Mapping[str, type[Result]]) -> StepHistory:
    match event:
        case StepStarted():
            return replace(step, state="running", started=at)
        case StepEnded():
            return _apply_end(step, event, at, types)
        case AttemptFailed():
            return replace(step, failures=(*step.failures, event.reason))
        case Waiting():
            return replace(step, awaits=event.reason)
        case Carried():
            return replace(step, carried=(*step.carried, event), awaits="")
        case AttemptEnded():
            return replace(step, attempts=max(step.attempts, event.attempt), awaits="")
        case WorkerStarted():
            worker = WorkerHistory(rank=event.rank, pid=event.pid, attempt=event.attempt, started=at)
            return replace(step, workers=(*step.workers, worker), awaits="")
        case WorkerEnded():
            return replace(step, workers=tuple(_apply_worker_end(worker, event, at) for worker in step.workers))
        case _:
            return step


def _apply_end(step: StepHistory, event: StepEnded, at: datetime, types: Mapping[str, type[Result]]) -> StepHistory:
    result = result_from_json(event.result, types.get(step.verb, Result)) if event.state == "done" else None
    return replace(
        step,
        state=event.state,
        cached=event.cached,
        started=step.started or at,
        ended=at,
        reason=event.reason,
        result=result or result_from_json(event.result, Result) or Result(),
    )


def _apply_worker_end(worker: WorkerHistory, event: WorkerEnded, at: datetime) -> WorkerHistory:
    if worker.ended or (worker.rank, worker.attempt) != (event.rank, event.attempt):
        return worker
    return replace(
        worker,
        ended=at,
        code=event.code,
        signal=event.signal,
        cpu_seconds=event.cpu_seconds,
        peak_memory=event.peak_memory,
    )
