"""A run over several targets whose steps are functions: order, capacity, absence, force and stops, without a cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from plimsoll.engine.history import RunHistory, history
from plimsoll.engine.runner import Backoff, Engine
from plimsoll.evidence.journal import Journal, read_journal
from plimsoll.kinds.dataset import CommandResult, RunCommand
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import AnyStep, Plan, Step, WorkerResources
from plimsoll.state.directory import LOCAL, StateDirectory
from plimsoll.targets.exchange import Content, Files, Parcel
from plimsoll.targets.features import ABSENCE, EXCHANGE, Features, feature_table, offers
from plimsoll.targets.memory import MemoryTarget, StepFunction
from plimsoll.targets.port import RunRequest
from plimsoll.targets.several import attempt, place
from plimsoll.targets.several.target import SeveralTarget


class Part(MemoryTarget):
    """A target in memory with a name. `taken` has what arrived from others, `away` why it does not answer."""

    def __init__(self, name: str, directory: Path, functions: Mapping[str, StepFunction], cores: float) -> None:
        facts = TargetFacts(target=name, cpu=cores, memory=2**32)
        super().__init__(facts, functions, StateDirectory(directory, name))
        self.name = name
        self.taken: list[str] = []
        self.away = ""

    @property
    def features(self) -> Features:
        return Features(
            self.name, feature_table(offers(EXCHANGE, self.exchange), offers(ABSENCE, lambda: self.away)), {}
        )

    @property
    def exchange(self) -> Exchange:
        return Exchange(self)


class Exchange:
    registry = ""

    def __init__(self, part: Part) -> None:
        self.part = part

    def content(self, step: AnyStep) -> Content | None:
        known = step.key in self.part.results or step.key in self.part.taken
        return Content(digest=step.key, size=1) if known else None

    def give(self, step: AnyStep) -> Files:
        return Files(path=Path(self.part.name), result=self.part.results[step.key])

    def take(self, step: AnyStep, parcel: Parcel) -> Content:
        assert isinstance(parcel, Files)
        self.part.taken.append(step.key)
        return Content(digest=step.key, size=1)

    def take_model(self, step: AnyStep, registered: object) -> Content:
        raise NotImplementedError


class Several(SimpleNamespace):
    """This machine and two more targets, and runs over them."""

    parts: dict[str, Part]
    path: Path

    def run(self, *steps: AnyStep, forced: frozenset[str] = frozenset(), number: int = 1) -> RunHistory:
        target = self.target()
        target.state.make()
        session = target.open(f"r{number}", watch=False)
        journal = target.state.journal(f"r{number}")
        journal.parent.mkdir(parents=True, exist_ok=True)
        try:
            session.begin(RunRequest(content="c", forced=forced))
            with Journal(journal) as written:
                self.engine = Engine(session, written, backoff=Backoff(first=0.001, most=0.002))
                plan = Plan(application="a", target=LOCAL, steps=steps)
                self.engine.run(plan, target.facts(), run=f"r{number}", number=number, forced=forced)
        finally:
            session.close()
        return history(read_journal(journal))

    def target(self) -> SeveralTarget:
        return SeveralTarget("a", self.path, self.parts, {LOCAL: LOCAL, "factory": "onprem", "eks": "cloud"})

    def started(self) -> dict[str, list[str]]:
        return {name: part.started for name, part in self.parts.items() if part.started}


Make = Callable[..., Several]


@pytest.fixture
def several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setattr(attempt, "LOOK", 0.005)
    monkeypatch.setattr(place, "ABSENT_FOR", 0.0)

    def made(functions: Mapping[str, StepFunction] | None = None, cores: float = 4.0) -> Several:
        parts = {name: Part(name, tmp_path, functions or {}, cores) for name in (LOCAL, "factory", "eks")}
        return Several(parts=parts, path=tmp_path)

    return made


def step(name: str, target: str, *needs: str, cores: float = 1.0, stays: str = "") -> AnyStep:
    work = RunCommand(command=name)
    needed = tuple(f"run/{each}" for each in needs)
    resources = WorkerResources(cpu=cores)
    return Step(
        part=name, key=f"key-of-{name}", work=work, needs=needed, target=target, resources=resources, stays=stays
    )


def test_each_step_is_carried_out_on_its_own_target_after_what_it_needs_is_there(several: Make) -> None:
    there = several()
    run = there.run(step("a", "factory"), step("b", "eks", "a"), step("c", LOCAL, "a", "b"))
    assert run.state == "done"
    assert there.started() == {"factory": ["run/a"], "eks": ["run/b"], LOCAL: ["run/c"]}
    assert [(each.step, each.origin, each.to) for each in run.carried] == [
        ("run/a", "factory", "eks"),
        ("run/a", "factory", LOCAL),
        ("run/b", "eks", LOCAL),
    ]


def test_what_two_steps_of_a_target_need_is_brought_there_once(several: Make) -> None:
    there = several()
    run = there.run(step("a", "factory"), *(step(name, "eks", "a") for name in "bcde"))
    assert run.state == "done"
    assert there.parts["eks"].taken == ["key-of-a"]
    assert len(run.carried) == 1


def test_a_second_run_does_nothing_and_sends_nothing(several: Make) -> None:
    there = several()
    steps = (step("a", "factory"), step("b", "eks", "a"))
    there.run(*steps)
    again = there.run(*steps, number=2)
    assert {each.cached for each in again.steps} == {True}
    assert not again.carried
    assert there.started() == {"factory": ["run/a"], "eks": ["run/b"]}


def test_what_a_forced_step_has_made_is_brought_again_where_others_use_it(several: Make) -> None:
    there = several()
    steps = (step("a", "factory"), step("b", "eks", "a"))
    there.run(*steps)
    again = there.run(*steps, number=2, forced=frozenset({"run/a", "run/b"}))
    assert [(each.step, each.to) for each in again.carried] == [("run/a", "eks")]
    assert there.parts["eks"].taken == ["key-of-a", "key-of-a"]


def test_the_cores_of_one_target_are_not_those_of_another(several: Make) -> None:
    meeting = threading.Barrier(3, timeout=10)

    def meet(_: object) -> CommandResult:
        meeting.wait()
        return CommandResult()

    there = several({"run": meet}, cores=1.0)
    assert there.run(step("a", LOCAL), step("b", "factory"), step("c", "eks")).state == "done"


def test_more_than_one_target_has_room_for_is_done_one_after_the_other(several: Make) -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def count(_: object) -> CommandResult:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        threading.Event().wait(0.02)
        with lock:
            now[0] -= 1
        return CommandResult()

    there = several({"run": count}, cores=1.0)
    assert there.run(*(step(name, "factory") for name in "abcd")).state == "done"
    assert most == [1]


def test_a_target_that_is_away_delays_its_steps_and_what_needs_them_alone(several: Make) -> None:
    there: Several

    def back(_: object) -> CommandResult:
        there.parts["factory"].away = ""
        return CommandResult()

    there = several({"run/z": back})
    there.parts["factory"].away = "the link is cut"
    run = there.run(step("a", "factory"), step("b", LOCAL, "a"), step("y", LOCAL), step("z", LOCAL, "y"))
    assert run.state == "done"
    assert there.started()[LOCAL][:2] == ["run/y", "run/z"]


def test_a_target_that_is_away_for_too_long_fails_its_steps_with_what_to_do(
    several: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "AWAY_LIMIT", 0.05)
    there = several()
    there.parts["factory"].away = "the link is cut"
    run = there.run(step("a", "factory"), step("b", LOCAL))
    assert (run.state, run.step("run/b").state, run.step("run/a").state) == ("failed", "done", "failed")
    assert "onprem has not answered for 0.05 s: the link is cut" in run.step("run/a").reason
    assert "run again once it answers" in run.step("run/a").reason


def test_a_step_that_waits_for_a_target_says_so_and_ends_when_it_is_stopped(several: Make) -> None:
    there = several()
    there.parts["factory"].away = "the link is cut"
    found: list[RunHistory] = []
    carrying = threading.Thread(target=lambda: found.append(there.run(step("a", "factory"))))
    carrying.start()
    journal = there.target().state.journal("r1")
    for _ in range(2000):
        if journal.exists() and b"does not answer" in journal.read_bytes():
            break
        threading.Event().wait(0.005)
    there.engine.stop()
    carrying.join(10)
    assert found[0].state == "stopped"
    assert not there.started()


def test_what_a_target_has_finished_counts_by_the_journals_while_it_is_away(several: Make) -> None:
    there = several()
    there.run(step("a", "factory"), step("b", "eks", "a"))
    there.parts["factory"].away = "the link is cut"
    run = there.run(step("a", "factory"), step("b", "eks", "a"), step("c", "eks", "b"), number=2)
    assert run.state == "done"
    assert run.step("run/a").cached
    assert there.started()["eks"] == ["run/b", "run/c"]


def test_rows_that_stay_are_not_sent_even_where_a_plan_would(several: Make) -> None:
    there = several()
    run = there.run(step("a", "factory", stays="factory"), step("b", "eks", "a"))
    assert run.step("run/b").state == "failed"
    assert "the rows of run/a stay on onprem, and are not brought to cloud" in run.step("run/b").reason
    assert not there.parts["eks"].taken


def test_a_run_of_one_of_the_targets_alone_is_refused_while_a_run_over_all_goes_on(several: Make) -> None:
    from plimsoll.errors import TargetError
    from plimsoll.state.lock import RunLock

    there = several()
    target = there.target()
    target.state.make()
    session = target.open("r1", watch=False)
    session.begin(RunRequest(content="c"))
    with pytest.raises(TargetError, match="run r1 of 'a' has been running"):
        RunLock(there.parts["factory"].state.lock).acquire("r2", "a")
    session.close()
    lock = RunLock(there.parts["factory"].state.lock)
    lock.acquire("r2", "a")
    lock.release()
