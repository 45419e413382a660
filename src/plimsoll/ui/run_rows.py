"""Runs as rows of a table, read from journals as they grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct, field

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.evidence.run_events import Scalar
from plimsoll.kinds.register import Register

CHUNK = 4 << 20
"""Bytes of a journal that are read at once."""


class _Step(Struct, frozen=True):
    name: str
    key: str = ""


class _Result(Struct, frozen=True):
    metrics: dict[str, float] = {}


class _Planned(Struct, frozen=True, tag_field="event", tag="run-planned"):
    application: str
    target: str
    steps: tuple[_Step, ...]
    number: int = 0
    parameters: dict[str, Scalar] = {}


class _StepsAdded(Struct, frozen=True, tag_field="event", tag="steps-added"):
    steps: tuple[_Step, ...]


class _SweepPlanned(Struct, frozen=True, tag_field="event", tag="sweep-planned"):
    searched: dict[str, str]
    model: str = ""
    objective: str = ""
    maximize: bool = False
    trials: int = 0


class _TrialBegun(Struct, frozen=True, tag_field="event", tag="trial-begun"):
    pass


class _TrialEnded(Struct, frozen=True, tag_field="event", tag="trial-ended"):
    number: int
    state: str
    value: float | None = None
    refusals: tuple[str, ...] = ()


class _StepStarted(Struct, frozen=True, tag_field="event", tag="step-started"):
    pass


class _StepEnded(Struct, frozen=True, tag_field="event", tag="step-ended"):
    state: str
    cached: bool = False
    result: _Result = _Result()


class _RunEnded(Struct, frozen=True, tag_field="event", tag="run-ended"):
    state: str
    reason: str = ""


@decodable
class _Line(Struct, frozen=True):
    """What a row takes from a line; the other events, such as each attempt's end with its result, are passed over."""

    at: datetime
    subject: str
    fact: _Planned | _StepsAdded | _SweepPlanned | _TrialBegun | _TrialEnded | _StepStarted | _StepEnded | _RunEnded


class SweepRow(Struct, kw_only=True):
    """What a row shows of a sweep. `trials` is how many there may be, `best` the value of the best accepted one."""

    model: str
    objective: str
    maximize: bool
    trials: int
    begun: int = 0
    ended: int = 0
    best: float | None = None
    best_trial: int | None = None

    def take(self, number: int, value: float) -> None:
        """An accepted trial has ended; of equal ones the first is the best."""
        better = self.best is None or (value > self.best if self.maximize else value < self.best)
        if better or (value == self.best and number < (self.best_trial or number)):
            self.best, self.best_trial = value, number


class RunRow(Struct, kw_only=True):
    """One run in the table. Times are in seconds since 1970; `figures` are by part and name."""

    run: str
    number: int = 0
    application: str = ""
    target: str = ""
    state: str = "running"
    reason: str = ""
    started: float | None = None
    ended: float | None = None
    steps: int = 0
    parameters: Mapping[str, Scalar] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    sweep: SweepRow | None = None

    @property
    def is_planned(self) -> bool:
        """Whether the run has a plan; without one it is no run yet."""
        return self.started is not None

    def count(self, state: str) -> int:
        """How many steps are in a state."""
        return sum(each == state for each in self.states.values())

    def doing(self) -> str:
        """The steps that run now."""
        return ", ".join(name for name, state in self.states.items() if state == "running")


class JournalReader:
    """One run's journal: `read` takes what has been appended since the last call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.row = RunRow(run=path.parent.name)
        self.size = 0
        """Bytes that were read, to the end of the last whole line."""
        self._decoder = msgspec.json.Decoder(_Line)

    def read(self) -> bool:
        """Whether there was anything new. A line that cannot be read is passed over. Raises OSError."""
        before = self.size
        with self.path.open("rb") as file:
            file.seek(self.size)
            rest = b""
            while chunk := file.read(CHUNK):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self.size += len(line) + 1
                    self._take(line)
        return self.size != before

    def _take(self, line: bytes) -> None:
        try:
            seen = self._decoder.decode(line)
        except UNREADABLE:
            return
        row, fact, at = self.row, seen.fact, seen.at.timestamp()
        match fact:
            case _Planned():
                row.application, row.target, row.number = fact.application, fact.target, fact.number
                row.parameters, row.started = fact.parameters, at
                self._plan(fact.steps)
            case _StepsAdded():
                self._plan(fact.steps)
            case _SweepPlanned():
                row.parameters = {**row.parameters, **fact.searched}
                row.sweep = SweepRow(
                    model=fact.model, objective=fact.objective, maximize=fact.maximize, trials=fact.trials
                )
            case _TrialBegun() if row.sweep is not None:
                row.sweep.begun += 1
            case _TrialEnded() if row.sweep is not None:
                row.sweep.ended += 1
                if fact.state == "done" and fact.value is not None and not fact.refusals:
                    row.sweep.take(fact.number, fact.value)
            case _StepStarted():
                self._set(seen.subject, "running")
            case _StepEnded():
                self._set(seen.subject, "cached" if fact.cached and fact.state == "done" else fact.state)
                verb, _, part = seen.subject.partition("/")
                if fact.state == "done" and verb != Register.verb:
                    # A registration repeats the figures of its training.
                    metrics = fact.result.metrics
                    row.figures.update(zip(map(f"{part} ".__add__, metrics), metrics.values(), strict=True))
            case _RunEnded():
                row.state, row.reason, row.ended = fact.state, fact.reason, at

    def _plan(self, steps: Sequence[_Step]) -> None:
        """Add steps that the run goes through; one that is planned again keeps its state."""
        row = self.row
        row.states = {step.name: "waiting" for step in steps} | row.states
        row.keys |= {step.name: step.key for step in steps}
        row.steps = len(row.states)

    def _set(self, step: str, state: str) -> None:
        if step in self.row.states:
            self.row.states[step] = state
