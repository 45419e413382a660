"""What is observed in a run: one type for each event, by who writes it. The journal's lines are made of these.

The engine writes run-planned, steps-added, the events of sweeps, policies-judged, step-started, attempt-failed,
step-ended, defect and run-ended; a target writes the rest, and ends every attempt with attempt-ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import msgspec
from msgspec import Struct

from plimsoll.evidence.observation import Observation, observed
from plimsoll.evidence.secrets import without_secrets

PLANNED = "run-planned"
"""The event with the plan, which a journal begins with."""
Scalar = bool | int | float | str
"""The value of a parameter."""


class _Event(Struct, frozen=True, kw_only=True, tag_field="event"):
    """The tag is the name of the event in the journal."""


class PlannedStep(Struct, frozen=True, kw_only=True):
    """A step as the plan has it; `ingredients` are kind, name and digest of all that its key was made of.

    Of a run over several targets, `target` is the one that carries the step out, and `why` says why. `stays` is the
    target that its rows must not leave.
    """

    name: str
    key: str
    needs: tuple[str, ...] = ()
    workers: int = 1
    ingredients: tuple[tuple[str, str, str], ...] = ()
    target: str = ""
    why: str = ""
    stays: str = ""


class RunPlanned(_Event, frozen=True, kw_only=True, tag=PLANNED):
    """`left_over` counts processes of an interrupted run that were ended; `resumes` is the id of the run before.

    `number` counts the runs of an application on a target in the order in which they began, from 1. `parameters` are
    the values of the file, or of the command line. `joins` is whose run of the same content goes on already, which this
    one watches. `forced` are the steps that are carried out again although their results are there. `names` maps the
    targets of a run over several to what the file calls them.
    """

    run: str
    application: str
    target: str
    steps: tuple[PlannedStep, ...]
    file: str = ""
    left_over: int = 0
    resumes: str | None = None
    number: int = 0
    parameters: Mapping[str, Scalar] = {}
    joins: str = ""
    forced: tuple[str, ...] = ()
    names: Mapping[str, str] = {}


class StepsAdded(_Event, frozen=True, kw_only=True, tag="steps-added"):
    """Steps that a run goes on with, decided on while it goes on."""

    steps: tuple[PlannedStep, ...]


class SweepPlanned(_Event, frozen=True, kw_only=True, tag="sweep-planned"):
    """The run is a sweep. `id` is a digest of what is searched, how, and over which code and data.

    `objective` is a figure of the training of `model`; `searched` has the values of each parameter as they were asked
    for.
    """

    id: str
    model: str
    objective: str
    maximize: bool
    searched: Mapping[str, str]
    trials: int


class TrialBegun(_Event, frozen=True, kw_only=True, tag="trial-begun"):
    """A trial has its parameters; `train` is the step of its training, which another trial may have too."""

    number: int
    parameters: Mapping[str, Scalar]
    train: str


class TrialEnded(_Event, frozen=True, kw_only=True, tag="trial-ended"):
    """`state` is done, failed or stopped, which is early. `value` is the objective, `refusals` name missed bounds."""

    number: int
    state: str
    value: float | None = None
    figures: Mapping[str, float] = {}
    refusals: tuple[str, ...] = ()
    reason: str = ""
    seconds: float = 0.0


class PolicyFinding(Struct, frozen=True, kw_only=True):
    """What a gate or a rule says of one thing; `verdict` is passed, warned, broken, unknown or later."""

    gate: str
    about: str
    verdict: str
    reason: str = ""
    remedy: str = ""
    where: str = ""


class PoliciesJudged(_Event, frozen=True, kw_only=True, tag="policies-judged"):
    """The policies of the file were judged. `stage` is `plan`, or the step that is about to begin.

    `left_out` counts findings that are not listed, of which there are too many.
    """

    stage: str
    findings: tuple[PolicyFinding, ...] = ()
    left_out: int = 0


class StepStarted(_Event, frozen=True, kw_only=True, tag="step-started"):
    """The first attempt at a step begins."""

    key: str


class AttemptFailed(_Event, frozen=True, kw_only=True, tag="attempt-failed"):
    """`again_in` is seconds until the next attempt; None when there is none."""

    attempt: int
    reason: str
    again_in: float | None = None


class StepEnded(_Event, frozen=True, kw_only=True, tag="step-ended"):
    """`state` is done, failed, skipped or stopped; `result` has the values of the step's own type of result."""

    state: str
    cached: bool = False
    reason: str = ""
    result: Mapping[str, Any] = {}  # Any: JSON values


class Defect(_Event, frozen=True, kw_only=True, tag="defect"):
    """An error in the engine or in a target that nobody foresaw."""

    trace: str


class RunEnded(_Event, frozen=True, kw_only=True, tag="run-ended"):
    """`state` is done, failed or stopped."""

    state: str
    reason: str = ""


class WorkerStarted(_Event, frozen=True, kw_only=True, tag="worker-started"):
    """One process, or one pod (then `pid` is 0). `limited` names what the kernel holds it to."""

    attempt: int
    rank: int
    pid: int
    limited: tuple[str, ...] = ()
    pod: str = ""
    node: str = ""


class WorkerEnded(_Event, frozen=True, kw_only=True, tag="worker-ended"):
    """`code` is the exit status, `signal` the number of the signal that ended it, `peak_memory` is in bytes."""

    attempt: int
    rank: int
    code: int | None = None
    signal: int | None = None
    cpu_seconds: float = 0.0
    peak_memory: int = 0
    pod: str = ""


class RendezvousReady(_Event, frozen=True, kw_only=True, tag="rendezvous-ready"):
    """`address` is host and port at which the workers of a gang meet."""

    attempt: int
    address: str


class Waiting(_Event, frozen=True, kw_only=True, tag="waiting"):
    """What the attempt waits for, in words."""

    attempt: int
    reason: str


class Told(_Event, frozen=True, kw_only=True, tag="told"):
    """What a target tells of the run as a whole, before the run has a plan in its journal."""

    text: str


class WorkloadFound(_Event, frozen=True, kw_only=True, tag="found"):
    """The workload of this step is under way already; it is watched and not started again."""

    attempt: int
    workload: str


class Carried(_Event, frozen=True, kw_only=True, tag="carried"):
    """The result of `step`, with this key, has come from one target to another, and its digest was verified there.

    `kind` is data or model. `size` is in bytes. What the target had already was not sent.
    """

    attempt: int
    step: str
    key: str
    origin: str
    to: str
    kind: str
    digest: str
    size: int
    seconds: float = 0.0


class AttemptEnded(_Event, frozen=True, kw_only=True, tag="attempt-ended"):
    """`outcome` is done, failed or stopped. A `lasting` failure would come again with every new attempt."""

    attempt: int
    outcome: str
    reason: str = ""
    result: Mapping[str, Any] = {}  # Any: JSON values
    lasting: bool = False


RunEvent = (
    RunPlanned
    | StepsAdded
    | SweepPlanned
    | TrialBegun
    | TrialEnded
    | PoliciesJudged
    | StepStarted
    | AttemptFailed
    | StepEnded
    | Defect
    | RunEnded
    | WorkerStarted
    | WorkerEnded
    | RendezvousReady
    | Waiting
    | Told
    | WorkloadFound
    | Carried
    | AttemptEnded
)


def listed_targets(target: str, names: Mapping[str, str]) -> str:
    """The target of a run in words, or all targets of a run over several by what the file calls them."""
    words = list(dict.fromkeys(names.values()))
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else target


_WORDS = frozenset({"reason", "trace", "result", "findings"})


def run_observed(source: str, subject: str, event: RunEvent) -> Observation:
    """An observation made now: `subject` is a step's name, or `run`."""
    values: dict[str, Any] = msgspec.to_builtins(event)  # Any: JSON values
    # What steps and services have said is in these. A journal and its report are passed on; a step's log is not.
    for name in _WORDS & values.keys():
        values[name] = without_secrets(values[name])
    return observed(source, subject, values.pop("event"), **values)


def event_of(seen: Observation) -> RunEvent | None:
    """The event that an observation records; None for one that this version does not know or cannot read."""
    shape = _TYPES.get(seen.event)
    try:
        return msgspec.convert(seen.fact, type=shape) if shape else None
    except msgspec.ValidationError:
        return None


# By its name, because msgspec works out what a union accepts anew for each value.
_TYPES: Mapping[str, type[RunEvent]] = {str(shape.__struct_config__.tag): shape for shape in get_args(RunEvent)}
