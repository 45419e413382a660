"""Which of the waiting steps is next."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from plimsoll.engine.capacity import FreeCapacity
from plimsoll.engine.history import history
from plimsoll.engine.runner import Engine
from plimsoll.engine.waiting import WaitingSteps
from plimsoll.evidence.journal import Journal, read_journal
from plimsoll.kinds.dataset import Fetch
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import AnyStep, Plan, Step, WorkerResources
from plimsoll.targets.memory import MemoryTarget

FACTS = TargetFacts(target="memory", cpu=2.0, memory=2**30)


def step(name: str, *needs: str, cores: float = 1.0) -> AnyStep:
    return Step(part=name, key=name, work=Fetch(source=name), needs=needs, resources=WorkerResources(cpu=cores))


def names(turns: Iterable[tuple[AnyStep, str]]) -> list[tuple[str, str]]:
    return [(step.part, blocker) for step, blocker in turns]


def test_steps_have_their_turn_in_the_order_of_the_plan() -> None:
    waiting = WaitingSteps([step("a"), step("b", "fetch/a"), step("c"), step("d", "fetch/b", "fetch/c")])
    assert names(waiting.turns(lambda _: True)) == [("a", ""), ("c", "")]
    waiting.settled("fetch/a", "done")
    waiting.settled("fetch/c", "done")
    assert names(waiting.turns(lambda _: True)) == [("b", "")]
    waiting.settled("fetch/b", "done")
    assert names(waiting.turns(lambda _: True)) == [("d", "")]
    assert not waiting


def test_a_step_that_fits_overtakes_one_that_does_not() -> None:
    waiting = WaitingSteps([step("big", cores=4.0), step("small")])
    assert names(waiting.turns(lambda one: one.resources.cores < 2)) == [("small", "")]
    assert names(waiting.turns(lambda _: True)) == [("big", "")]


def test_what_needs_a_failed_step_has_its_turn_at_once_whatever_else_it_waits_for() -> None:
    waiting = WaitingSteps([step("a"), step("b"), step("c", "fetch/a", "fetch/b", cores=99.0)])
    assert len(names(waiting.turns(lambda _: True))) == 2
    waiting.settled("fetch/b", "failed")
    waiting.settled("fetch/a", "failed")
    assert names(waiting.turns(lambda _: False)) == [("c", "fetch/b failed")]


def test_an_end_asks_as_little_among_ten_thousand_steps_as_among_ten() -> None:
    asked = free = 0

    def one_place(_: AnyStep) -> bool:
        nonlocal asked, free
        asked += 1
        free, fits = 0, free > 0
        return fits

    waiting = WaitingSteps([step(str(number)) for number in range(10_000)])
    for _ in range(100):
        free = 1
        (one,) = (taken for taken, _ in waiting.turns(one_place))
        waiting.settled(one.name, "done")
    assert asked <= 200


def looked_at_all(steps: list[AnyStep], ends: random.Random) -> Iterator[tuple[str, str]]:
    """The same by looking at each step after each end."""
    states: dict[str, str] = {}
    capacity, left = FreeCapacity(FACTS), list(steps)
    while left or capacity.reserved:
        again = True
        while again:
            again = False
            for one in list(left):
                blocker = next((name for name in one.needs if states.get(name, "done") != "done"), None)
                if blocker:
                    left.remove(one)
                    states[one.name] = "skipped"
                    yield one.part, "skipped"
                    again = True
                elif all(name in states for name in one.needs) and capacity.reserve(one):
                    left.remove(one)
                    yield one.part, "started"
        states.update(end_of_one(capacity, ends))


def end_of_one(capacity: FreeCapacity, ends: random.Random) -> dict[str, str]:
    if not capacity.reserved:
        return {}
    name = ends.choice(sorted(capacity.reserved))
    capacity.release(capacity.reserved[name])
    return {name: ends.choice(["done", "done", "done", "failed"])}


def by_turns(steps: list[AnyStep], ends: random.Random) -> Iterator[tuple[str, str]]:
    capacity, waiting = FreeCapacity(FACTS), WaitingSteps(steps)
    while waiting or capacity.reserved:
        for one, blocker in waiting.turns(capacity.reserve):
            yield one.part, "skipped" if blocker else "started"
            if blocker:
                waiting.settled(one.name, "skipped")
        for name, state in end_of_one(capacity, ends).items():
            waiting.settled(name, state)


@pytest.mark.parametrize("seed", range(50))
def test_the_turns_are_those_of_looking_at_every_step_after_every_end(seed: int) -> None:
    drawn = random.Random(seed)
    steps: list[AnyStep] = []
    for number in range(25):
        needs = drawn.sample([one.name for one in steps], min(len(steps), drawn.randrange(3)))
        steps.append(step(str(number), *needs, cores=drawn.choice([0.1, 0.5, 1.0, 2.0])))
    assert list(by_turns(steps, random.Random(seed))) == list(looked_at_all(steps, random.Random(seed)))


@pytest.mark.parametrize(
    ("left", "reason"),
    [
        (step("a", cores=99.0), "the target has no capacity for it"),
        (step("a", "fetch/b"), "it needs fetch/b, which does not run"),
    ],
)
def test_a_step_whose_turn_never_comes_fails_instead_of_waiting_for_ever(
    tmp_path: Path, left: AnyStep, reason: str
) -> None:
    with Journal(tmp_path / "j") as journal:
        plan = Plan(application="a", target="memory", steps=(left,))
        assert Engine(MemoryTarget(FACTS), journal).run(plan, FACTS, run="r") == "failed"
    assert history(read_journal(tmp_path / "j")).step("fetch/a").reason == reason
