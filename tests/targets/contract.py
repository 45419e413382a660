"""What every target must do, whatever it is: a base class of tests. A target's own class overrides one fixture."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from plimsoll.engine.history import RunHistory, history
from plimsoll.engine.runner import Backoff, Engine
from plimsoll.errors import FileError
from plimsoll.evidence.journal import Journal, read_journal
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import AttemptEnded, event_of
from plimsoll.kinds.dataset import CommandResult
from plimsoll.planning.steps import AnyStep, Plan
from plimsoll.targets.features import Feature
from plimsoll.targets.port import RunningAttempt, Session, Target

UNHEARD_OF: Feature[object] = Feature("teleport", "teleport a service")


class Bench(Struct, frozen=True, kw_only=True):
    """A target with steps that it carries out: one that leaves the file `greeting.txt` of six bytes, one that fails
    and says `no such column`, and one that runs until it is stopped. Each call gives a step with a key of its own.

    `started` is true once the endless step runs.
    """

    target: Target
    good: Callable[[], AnyStep]
    failing: Callable[[], AnyStep]
    endless: Callable[[], AnyStep]
    started: Callable[[], bool]


def end_of(attempt: RunningAttempt) -> AttemptEnded:
    """Carry an attempt out; gives its last event."""
    return last_of(list(attempt))


def last_of(seen: list[Observation]) -> AttemptEnded:
    last = event_of(seen[-1])
    assert isinstance(last, AttemptEnded)
    assert not any(isinstance(event_of(each), AttemptEnded) for each in seen[:-1])
    return last


class TargetContract:
    """Subclasses override `bench`."""

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Bench:
        raise NotImplementedError

    @pytest.fixture
    def session(self, bench: Bench) -> Iterator[Session]:
        bench.target.state.make()
        session = bench.target.open("run-1", watch=False)
        session.begin()
        yield session
        session.close()

    def test_a_step_that_has_not_run_has_no_result(self, bench: Bench, session: Session) -> None:
        assert session.result(bench.good()) is None

    def test_a_finished_step_has_the_result_of_its_work(self, bench: Bench, session: Session) -> None:
        step = bench.good()
        end = end_of(session.start(step, 1))

        assert (end.outcome, end.reason, end.attempt) == ("done", "", 1)
        result = session.result(step)
        assert isinstance(result, CommandResult)
        assert [(file.name, file.size) for file in result.outputs] == [("greeting.txt", 6)]

    def test_another_session_finds_the_result(self, bench: Bench, session: Session) -> None:
        step = bench.good()
        end_of(session.start(step, 1))
        known = session.result(step)
        session.close()

        again = bench.target.open("run-2", watch=False)
        assert again.result(step) == known
        again.close()

    def test_a_failed_step_says_why_and_has_no_result(self, bench: Bench, session: Session) -> None:
        step = bench.failing()
        end = end_of(session.start(step, 2))

        assert (end.outcome, end.attempt) == ("failed", 2)
        assert "no such column" in end.reason
        assert session.result(step) is None

    def test_a_stopped_attempt_ends_and_leaves_no_result(self, bench: Bench, session: Session) -> None:
        step = bench.endless()
        attempt = session.start(step, 1)
        seen: list[Observation] = []
        carrying = threading.Thread(target=lambda: seen.extend(attempt))
        carrying.start()
        deadline = time.monotonic() + 30
        while not bench.started() and time.monotonic() < deadline:
            time.sleep(0.01)
        attempt.stop()
        carrying.join(30)

        assert not carrying.is_alive()
        assert last_of(seen).outcome == "stopped"
        assert session.result(step) is None

    def test_an_attempt_that_is_stopped_before_it_is_carried_out_ends_too(self, bench: Bench, session: Session) -> None:
        attempt = session.start(bench.endless(), 1)
        attempt.stop()
        assert end_of(attempt).outcome == "stopped"

    def test_every_observation_names_the_step(self, bench: Bench, session: Session) -> None:
        step = bench.good()
        assert {each.subject for each in session.start(step, 1)} == {step.name}

    def test_a_feature_that_the_target_lacks_is_refused_with_one_sentence(self, bench: Bench) -> None:
        features = bench.target.features
        assert UNHEARD_OF not in features
        with pytest.raises(FileError, match="cannot teleport a service"):
            features.require(UNHEARD_OF)

    def test_the_facts_are_of_the_target_and_have_its_verbs(self, bench: Bench) -> None:
        facts = bench.target.facts()
        assert facts.target == bench.target.name
        assert facts.cpu > 0
        assert facts.verbs is None or "run" in facts.verbs

    def test_nothing_is_up_where_nothing_has_been_served(self, bench: Bench, session: Session) -> None:
        assert dict(bench.target.services()) == {}
        assert list(session.fallen()) == []
        assert list(bench.target.service_notes("triage")) == []

    def test_a_second_run_of_the_engine_repeats_nothing(self, bench: Bench, session: Session, tmp_path: Path) -> None:
        steps = (bench.good(),)
        assert self.carried_out(bench, session, steps, tmp_path / "first").step(steps[0].name).cached is False
        assert self.carried_out(bench, session, steps, tmp_path / "second").step(steps[0].name).cached is True

    def carried_out(self, bench: Bench, session: Session, steps: tuple[AnyStep, ...], path: Path) -> RunHistory:
        plan = Plan(application="a", target=bench.target.name, steps=steps)
        with Journal(path) as journal:
            engine = Engine(session, journal, backoff=Backoff(first=0.001, most=0.002))
            assert engine.run(plan, bench.target.facts(), run="r") == "done"
        return history(read_journal(path))
