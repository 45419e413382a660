import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from plimsoll.engine.history import RunHistory, history
from plimsoll.engine.runner import Backoff, Engine
from plimsoll.errors import PlimsollError
from plimsoll.evidence.journal import Journal, read_journal
from plimsoll.evidence.observation import Observation
from plimsoll.kinds.dataset import Fetch, FetchResult
from plimsoll.kinds.train import TrainGang
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import AnyStep, Plan, Step, Work, WorkerResources
from plimsoll.state.results import Result
from plimsoll.targets.memory import MemoryAttempt, MemoryTarget

QUICK = Backoff(first=0.001, most=0.002)


def step(name: str, *needs: str, cores: float = 1.0, retries: int = 0, workers: int = 1) -> AnyStep:
    verb, _, part = name.partition("/")
    work: Work = Fetch(source=part) if verb == "fetch" else TrainGang(command="true", framework="none", size=workers)
    key, resources = f"key-of-{name}", WorkerResources(cpu=cores)
    return Step(part=part, key=key, work=work, needs=needs, resources=resources, retries=retries)


def carry_out(target: MemoryTarget, steps: list[AnyStep], path: Path) -> tuple[str, RunHistory]:
    with Journal(path) as journal:
        engine = Engine(target, journal, backoff=QUICK)
        state = engine.run(Plan(application="a", target="memory", steps=tuple(steps)), target.facts(), run="r1")
    return state, history(read_journal(path))


def test_a_step_starts_only_after_all_it_needs_is_done(tmp_path: Path) -> None:
    target = MemoryTarget()
    state, run = carry_out(
        target, [step("fetch/c", "fetch/a", "fetch/b"), step("fetch/a"), step("fetch/b", "fetch/a")], tmp_path / "j"
    )
    assert state == "done"
    assert target.started == ["fetch/a", "fetch/b", "fetch/c"]
    assert [one.state for one in run.steps] == ["done"] * 3


def test_independent_steps_run_at_the_same_time_when_there_is_room(tmp_path: Path) -> None:
    meeting = threading.Barrier(3, timeout=10)
    work = {f"fetch/{name}": lambda _: Result(metrics={"order": meeting.wait()}) for name in "abc"}
    state, _ = carry_out(MemoryTarget(functions=work), [step(f"fetch/{name}") for name in "abc"], tmp_path / "j")
    assert state == "done"


def test_steps_never_take_more_cores_together_than_there_are(tmp_path: Path) -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def busy(*_: object) -> Result:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.005)
        with lock:
            now[0] -= 1
        return Result()

    names = [f"fetch/{number}" for number in range(12)]
    target = MemoryTarget(TargetFacts(target="memory", cpu=2.0, memory=2**30), dict.fromkeys(names, busy))
    state, _ = carry_out(target, [step(name, cores=0.5) for name in names], tmp_path / "j")
    assert state == "done"
    assert 1 < most[0] <= 4


def test_a_gang_waits_until_there_is_room_for_all_of_it(tmp_path: Path) -> None:
    running: set[str] = set()
    seen_together: list[set[str]] = []

    def note(name: str) -> Callable[..., Result]:
        def work(*_: object) -> Result:
            running.add(name)
            seen_together.append(set(running))
            time.sleep(0.02)
            running.discard(name)
            return Result()

        return work

    target = MemoryTarget(
        TargetFacts(target="memory", cpu=2.0, memory=2**30), {"fetch/a": note("a"), "train/gang": note("gang")}
    )
    carry_out(target, [step("fetch/a"), step("train/gang", workers=2)], tmp_path / "j")
    assert {"a", "gang"} not in seen_together


def test_a_failed_step_is_tried_again_up_to_its_retries(tmp_path: Path) -> None:
    def third_time(attempt: MemoryAttempt) -> Result:
        if attempt.number < 3:
            raise RuntimeError("not yet")
        return Result()

    target = MemoryTarget(functions={"fetch/a": third_time})
    state, run = carry_out(target, [step("fetch/a", retries=2)], tmp_path / "j")
    assert state == "done"
    assert run.step("fetch/a").attempts == 3
    assert run.step("fetch/a").failures == ("not yet", "not yet")


def test_what_needs_a_failed_step_is_skipped_and_the_rest_still_runs(tmp_path: Path) -> None:
    def fail(*_: object) -> Result:
        raise RuntimeError("no such column")

    target = MemoryTarget(functions={"fetch/bad": fail})
    state, run = carry_out(
        target,
        [
            step("fetch/bad", retries=1),
            step("fetch/after", "fetch/bad"),
            step("fetch/last", "fetch/after"),
            step("fetch/other"),
        ],
        tmp_path / "j",
    )
    assert state == "failed"
    assert {one.name: one.state for one in run.steps} == {
        "fetch/bad": "failed",
        "fetch/after": "skipped",
        "fetch/last": "skipped",
        "fetch/other": "done",
    }
    assert run.step("fetch/bad").reason == "no such column"
    assert run.step("fetch/after").reason == "fetch/bad failed"


def test_a_second_run_does_nothing_twice(tmp_path: Path) -> None:
    target = MemoryTarget()
    steps = [step("fetch/a"), step("fetch/b", "fetch/a")]
    carry_out(target, steps, tmp_path / "first")
    target.started.clear()
    state, run = carry_out(target, steps, tmp_path / "second")
    assert state == "done"
    assert target.started == []
    assert all(one.cached for one in run.steps)


def test_stopping_ends_what_runs_and_starts_nothing_more(tmp_path: Path) -> None:
    begun = threading.Event()

    def long(attempt: MemoryAttempt) -> Result:
        begun.set()
        assert attempt.stopping.wait(30)
        return Result()

    target = MemoryTarget(functions={"fetch/long": long})
    plan = Plan(
        application="a", target="memory", steps=(step("fetch/long", retries=5), step("fetch/next", "fetch/long"))
    )
    with Journal(tmp_path / "j") as journal:
        engine = Engine(target, journal, backoff=QUICK)

        def stop_once_begun() -> None:
            begun.wait(30)
            engine.stop()

        threading.Thread(target=stop_once_begun).start()
        state = engine.run(plan, target.facts(), run="r1")
    run = history(read_journal(tmp_path / "j"))
    assert state == "stopped"
    assert [one.state for one in run.steps] == ["stopped", "stopped"]
    assert target.started == ["fetch/long"]


def test_every_end_stands_in_the_journal_before_a_dependent_starts(tmp_path: Path) -> None:
    path = tmp_path / "j"
    known: list[str] = []

    def look(*_: object) -> Result:
        known.extend(seen.subject for seen in read_journal(path) if seen.event == "step-ended")
        return Result()

    carry_out(MemoryTarget(functions={"fetch/b": look}), [step("fetch/a"), step("fetch/b", "fetch/a")], path)
    assert known == ["fetch/a"]


def test_a_defect_in_a_target_fails_the_step_instead_of_hanging_the_run(tmp_path: Path) -> None:
    class Broken(MemoryTarget):
        def start(self, step: AnyStep, attempt: int) -> MemoryAttempt:
            raise KeyError("defect")

    state, run = carry_out(Broken(), [step("fetch/a")], tmp_path / "j")
    assert state == "failed"
    assert (
        run.step("fetch/a").reason
        == "this is a defect of plimsoll (KeyError('defect')): please report it with the journal of the run"
    )
    assert "Traceback" in next(seen.fact["trace"] for seen in read_journal(tmp_path / "j") if seen.event == "defect")


def test_a_journal_that_cannot_be_written_ends_the_run_at_once(tmp_path: Path) -> None:
    class Full(Journal):
        def append(self, observation: Observation) -> None:
            if observation.event == "step-ended":
                raise PlimsollError("the journal cannot be written: No space left on device")
            super().append(observation)

    def long(attempt: MemoryAttempt) -> Result:
        assert attempt.stopping.wait(30)
        return Result()

    target = MemoryTarget(functions={"fetch/long": long})
    plan = Plan(
        application="a", target="memory", steps=(step("fetch/long"), step("fetch/a"), step("fetch/b", "fetch/a"))
    )
    target.results["key-of-fetch/a"] = FetchResult()
    with Full(tmp_path / "j") as journal, pytest.raises(PlimsollError, match="cannot be written"):
        Engine(target, journal, backoff=QUICK).run(plan, target.facts(), run="r1")


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 0.5), (2, 1.0), (3, 2.0), (20, 30.0)])
def test_the_pause_doubles_up_to_a_limit(attempt: int, seconds: float) -> None:
    assert Backoff().after(attempt) == seconds
