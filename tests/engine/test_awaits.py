"""What a step of a run under way waits for, as its journal has it."""

from __future__ import annotations

from msgspec.structs import replace

from plimsoll.engine.history import history
from plimsoll.engine.summary import summary
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import (
    AttemptEnded,
    PlannedStep,
    RunEvent,
    RunPlanned,
    StepStarted,
    Waiting,
    WorkerStarted,
    run_observed,
)

STEP = "run/clean"
BEGUN = (
    RunPlanned(run="1", application="shop", target="lab", steps=(PlannedStep(name=STEP, key="k"),)),
    StepStarted(key="k"),
)


def seen(*events: RunEvent) -> list[Observation]:
    return [run_observed("test", STEP, event) for event in (*BEGUN, *events)]


def awaits(*events: RunEvent) -> str:
    return history(seen(*events)).step(STEP).awaits


def test_a_step_awaits_what_it_said_last() -> None:
    first, second = (Waiting(attempt=1, reason=reason) for reason in ("a queue", "a node"))
    assert awaits() == ""
    assert awaits(first, second) == "a node"


def test_a_step_that_goes_on_or_has_ended_awaits_nothing() -> None:
    waiting = Waiting(attempt=1, reason="a node")
    assert awaits(waiting, WorkerStarted(attempt=1, rank=0, pid=0, pod="p")) == ""
    assert awaits(waiting, AttemptEnded(attempt=1, outcome="failed")) == ""


def test_what_a_step_awaits_is_in_the_json_of_its_run() -> None:
    steps = summary(history(seen(Waiting(attempt=1, reason="a node"))), {}, None)["steps"]
    assert isinstance(steps, list)
    assert [step["awaits"] for step in steps] == ["a node"]


def test_a_run_that_was_killed_waits_for_nothing() -> None:
    run = history(seen(Waiting(attempt=1, reason="a node")))
    assert run.awaited() == [(STEP, "a node")]
    assert replace(run, state="killed").awaited() == []
