"""What happened in a run, worked out from its observations and from nothing else.

Events, by who writes them:

    engine   run-planned     run, application, target, file, steps (list of name, key, needs, workers)
             step-started    key
             attempt-failed  attempt, reason, again_in (seconds until the next attempt)
             step-ended      state (`done`, `failed`, `skipped`, `stopped`), cached, reason, result
             defect          trace (of an error in the engine or a target that nobody foresaw)
             run-ended       state (`done`, `failed`, `stopped`), reason
    target   worker-started  rank, pid, attempt
             rendezvous-ready  address, attempt
             worker-ended    rank, attempt, code (exit status, or `None`), signal (number, or `None`),
                             cpu_seconds, peak_memory (bytes)
             attempt-ended   attempt, outcome (`done`, `failed`, `stopped`), reason, result

`result` of a step, by its verb: always `outputs` (list of `name`, `size`) where it leaves files and `metrics` (name to
number) where it left figures; `train` has `checkpoints` (count); `register` has `version`, `digest`, `accepted` and
`refusals` (list of sentences); `serve` has `url` (while it is up), `seconds_to_ready` and `latency_ms` of the proof;
`score` has `rows` and `seconds`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from plimsoll.evidence.observation import Observation


class WorkerHistory(Struct, frozen=True, kw_only=True):
    """One process of an attempt. `signal` is a number when a signal ended it."""

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
    """One step of a run. `state` is `waiting`, `running`, `done`, `failed`, `skipped` or `stopped`."""

    name: str
    key: str
    needs: tuple[str, ...] = ()
    state: str = "waiting"
    cached: bool = False
    started: datetime | None = None
    ended: datetime | None = None
    reason: str = ""
    attempts: int = 0
    failures: tuple[str, ...] = ()
    workers: tuple[WorkerHistory, ...] = ()
    result: Mapping[str, Any] = {}

    @property
    def seconds(self) -> float:
        """From start to end; 0.0 for what has not run."""
        return (self.ended - self.started).total_seconds() if self.started and self.ended else 0.0

    @property
    def metrics(self) -> Mapping[str, float]:
        """The figures that the step left in metrics.json."""
        return self.result.get("metrics") or {}


class RunHistory(Struct, frozen=True, kw_only=True):
    """One run. `state` is `running`, `done`, `failed` or `stopped`; a killed run stays `running`."""

    run: str
    application: str
    target: str
    file: str = ""
    state: str = "running"
    reason: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    steps: tuple[StepHistory, ...] = ()

    @property
    def seconds(self) -> float:
        """From start to end; 0.0 while it runs."""
        return (self.ended - self.started).total_seconds() if self.started and self.ended else 0.0

    def step(self, name: str) -> StepHistory:
        """The step of that name. Raises KeyError when the run has none."""
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)


def history(observations: Iterable[Observation]) -> RunHistory:
    """The run that these observations tell of, in their order. Raises ValueError when no plan is among them."""
    run: RunHistory | None = None
    steps: dict[str, StepHistory] = {}
    for seen in observations:
        if seen.event == "run-planned":
            run = _planned(seen)
            steps = {step.name: step for step in run.steps}
        elif run and seen.event == "run-ended":
            run = replace(run, state=seen.fact["state"], reason=seen.fact.get("reason", ""), ended=seen.at)
        elif seen.subject in steps:
            steps[seen.subject] = _after(steps[seen.subject], seen)
    if run is None:
        raise ValueError("no plan among the observations")
    return replace(run, steps=tuple(steps.values()))


def _planned(seen: Observation) -> RunHistory:
    fact = seen.fact
    steps = tuple(
        StepHistory(name=step["name"], key=step["key"], needs=tuple(step.get("needs", ()))) for step in fact["steps"]
    )
    return RunHistory(
        run=fact["run"],
        application=fact["application"],
        target=fact["target"],
        file=fact.get("file", ""),
        started=seen.at,
        steps=steps,
    )


def _after(step: StepHistory, seen: Observation) -> StepHistory:
    fact = seen.fact
    if seen.event == "step-started":
        return replace(step, state="running", started=seen.at)
    if seen.event == "step-ended":
        return replace(
            step,
            state=fact["state"],
            cached=bool(fact.get("cached")),
            started=step.started or seen.at,
            ended=seen.at,
            reason=fact.get("reason", ""),
            result=fact.get("result") or {},
        )
    if seen.event == "attempt-failed":
        return replace(step, failures=(*step.failures, fact["reason"]))
    if seen.event == "attempt-ended":
        return replace(step, attempts=max(step.attempts, fact["attempt"]))
    if seen.event == "worker-started":
        worker = WorkerHistory(rank=fact["rank"], pid=fact["pid"], attempt=fact["attempt"], started=seen.at)
        return replace(step, workers=(*step.workers, worker))
    if seen.event == "worker-ended":
        return replace(step, workers=tuple(_worker_after(worker, seen) for worker in step.workers))
    return step


def _worker_after(worker: WorkerHistory, seen: Observation) -> WorkerHistory:
    fact = seen.fact
    if worker.ended or (worker.rank, worker.attempt) != (fact["rank"], fact["attempt"]):
        return worker
    return replace(
        worker,
        ended=seen.at,
        code=fact.get("code"),
        signal=fact.get("signal"),
        cpu_seconds=fact.get("cpu_seconds", 0.0),
        peak_memory=fact.get("peak_memory", 0),
    )
