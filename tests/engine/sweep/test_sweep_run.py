"""A sweep on a target in memory: its trials, its winner, and what a second one does not do again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from plimsoll.engine.preparation import decide, prepare
from plimsoll.engine.run_status import run_status
from plimsoll.engine.sweep.median_rule import MedianRule
from plimsoll.engine.sweep.objective import Objective
from plimsoll.engine.sweep.space import space_of
from plimsoll.engine.sweep.sweep_run import MOST_PARALLEL, SweepRequest, SweepRun, model_to_sweep
from plimsoll.engine.sweep.trials import sweep_of
from plimsoll.errors import FileError, TargetError
from plimsoll.evidence.journal import read_journal
from plimsoll.kinds.register import Register, RegisterResult
from plimsoll.kinds.table import KINDS
from plimsoll.kinds.train import TrainGang, TrainResult
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import AnyStep
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.features import CURVES, Features, feature_table, offers
from plimsoll.targets.memory import MemoryAttempt, MemoryTarget
from plimsoll.targets.port import Session

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: t}
spec:
  parameters: {rate: 0.1, rounds: 3, split: 2}
  datasets:
    parts: {run: python parts.py, outputs: [x]}
  models:
    m:
      train: {run: python train.py, inputs: [parts]}
      accept: {accuracy: ">= 0.5"}
"""
ACCURACY = Objective(name="accuracy", maximize=True)
Train = Callable[[float, int], dict[str, float]]


class Place:
    """A directory with the application, and a target on which `train` makes figures of a rate and rounds."""

    def __init__(self, directory: Path, train: Train) -> None:
        self.file = directory / "plimsoll.yaml"
        self.file.write_text(FILE)
        (directory / "parts.py").write_text("PLIMSOLL_PARAM_SPLIT")
        (directory / "train.py").write_text("PLIMSOLL_PARAM_RATE PLIMSOLL_PARAM_ROUNDS")
        self.curves: dict[str, list[tuple[float, float]]] = {}
        self.attempts: list[str] = []
        self.trained: list[tuple[float, int]] = []
        self.target = Watched(self, directory, train)

    def sweep(self, *grid: str, **options: Any) -> SweepRun:
        defaults = KINDS.load(self.file).application.parameters
        options = {"objective": ACCURACY, **options}
        drawn = space_of(defaults, grid=grid, random=options.pop("random", ()), optuna=())
        request = SweepRequest(model="m", space=drawn, **options)
        return SweepRun(prepare(self.file, self.target, steps=("register/m",)), request)


class Watched(MemoryTarget):
    """In memory, with curves that tests write."""

    def __init__(self, place: Place, directory: Path, train: Train) -> None:
        def trained(attempt: MemoryAttempt) -> TrainResult:
            work = attempt.work
            assert isinstance(work, TrainGang)
            rate, rounds = (work.parameters[f"PLIMSOLL_PARAM_{name}"] for name in ("RATE", "ROUNDS"))
            place.trained.append((float(rate), int(rounds)))
            place.attempts.append(attempt.step.key)
            curve = place.curves.get(rate, [])
            if curve and curve[-1][1] > 1:
                assert attempt.stopping.wait(20), "it was not stopped"
            return TrainResult(metrics=train(float(rate), int(rounds)))

        def registered(attempt: MemoryAttempt) -> RegisterResult:
            work = attempt.work
            assert isinstance(work, Register)
            return RegisterResult(version=1, digest=work.train_key, accepted=True)

        super().__init__(
            TargetFacts(target="memory", cpu=2.0, memory=2**32),
            {"train": trained, "register": registered},
            StateDirectory(directory, "memory"),
        )
        self._place = place

    @property
    def features(self) -> Features:
        return Features(self.name, feature_table(offers(CURVES, self._curve)), {})

    def _curve(self, session: Session, step: AnyStep, series: str) -> Sequence[tuple[float, float]]:
        assert isinstance(step.work, TrainGang)
        return self._place.curves.get(step.work.parameters["PLIMSOLL_PARAM_RATE"], [])


@pytest.fixture(autouse=True)
def _keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def near(rate: float, rounds: int) -> dict[str, float]:
    """The figures of a training that is best at 0.3."""
    if rounds == 13:
        raise ValueError("diverged")
    return {"accuracy": 1 - abs(rate - 0.3) * 2 + rounds / 1000}


def test_the_best_accepted_trial_is_registered_and_no_other(tmp_path: Path) -> None:
    place = Place(tmp_path, near)
    run = place.sweep("rate=0.1,0.3,0.9", "rounds=1,2")
    happened = run.carry_out()
    assert happened.state == "done"
    assert len(run.sweep.trials) == 6
    best = run.sweep.best
    assert best is not None
    assert best.parameters == {"rate": 0.3, "rounds": 2}
    assert [step for step in place.target.started if step.startswith("register/")] == ["register/m"]
    result = happened.step("register/m").result
    assert isinstance(result, RegisterResult)
    assert result.digest == place.attempts[place.trained.index((0.3, 2))], "it is the training of the winner"
    assert [trial.accepted for trial in run.sweep.ranked()] == [True, True, True, True, False, False]
    assert run.sweep.ranked()[-1].refusals == ("accuracy is -0.199, expected >= 0.5",)


def test_what_all_trials_share_is_done_once_and_a_parameter_of_the_data_makes_data_for_each(tmp_path: Path) -> None:
    place = Place(tmp_path, near)
    place.sweep("rate=0.1,0.3").carry_out()
    assert [step for step in place.target.started if step.startswith("run/")] == ["run/parts"]
    other = Place(tmp_path, near)
    other.sweep("split=2,3", "rate=0.1,0.3").carry_out()
    assert sorted(step for step in other.target.started if step.startswith("run/")) == ["run/parts.1", "run/parts.3"]


def test_a_run_with_the_values_of_the_winner_does_nothing_again(tmp_path: Path) -> None:
    place = Place(tmp_path, near)
    place.sweep("rate=0.1,0.3").carry_out()
    kept = decide(prepare(place.file, place.target, settings=("rate=0.3",)))
    assert [decision.runs for decision in kept] == [False, False, False]
    lost = decide(prepare(place.file, place.target, settings=("rate=0.1",)))
    assert [decision.runs for decision in lost] == [False, False, True], "a loser is kept as a result, not as a version"


def test_a_trial_that_fails_is_a_row_with_its_reason_and_not_the_end(tmp_path: Path) -> None:
    place = Place(tmp_path, near)
    run = place.sweep("rounds=13,2")
    assert run.carry_out().state == "done"
    failed, done = run.sweep.trials
    assert (failed.state, failed.reason) == ("failed", "diverged")
    assert done.state == "done"
    assert place.trained.count((0.1, 13)) == 1
    again = place.sweep("rounds=13,2")
    assert again.carry_out().state == "done"
    assert place.trained.count((0.1, 13)) == 1, "it is not tried again"
    assert again.sweep.trials[0].reason == "diverged"
    place.sweep("rounds=13,2", retry_failed=True).carry_out()
    assert place.trained.count((0.1, 13)) == 2, "unless that is asked for"


def test_a_sweep_without_an_accepted_trial_registers_nothing_and_says_so(tmp_path: Path) -> None:
    place = Place(tmp_path, near)
    happened = place.sweep("rate=0.8,0.9").carry_out()
    assert (happened.state, happened.reason) == ("failed", "no trial is accepted")
    assert "register/m" not in place.target.started


def test_a_figure_that_no_trial_writes_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    place = Place(tmp_path, near)
    run = place.sweep("rate=0.1", objective=Objective(name="f1", maximize=True))
    assert run.carry_out().state == "failed"
    assert run.sweep.trials[0].reason == "metrics.json has no figure 'f1'; it has accuracy"


def test_no_more_trials_run_at_once_than_fit(tmp_path: Path) -> None:
    lock, now, most = threading.Lock(), [0], [0]
    meeting = threading.Barrier(2, timeout=20)

    def busy(rate: float, rounds: int) -> dict[str, float]:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        meeting.wait()
        with lock:
            now[0] -= 1
        return near(rate, rounds)

    place = Place(tmp_path, busy)
    assert place.sweep("rounds=1,2,3,4,5,6").carry_out().state == "done"
    assert most == [2], "of two cores, and a training counts as one"


def test_a_target_of_unknown_size_has_room_for_a_number_that_is_not_too_large(tmp_path: Path) -> None:
    place = Place(tmp_path, near)
    place.target._facts = TargetFacts(target="memory", cpu=float("inf"), memory=2**62)
    run = place.sweep("rate=0.1,0.3")
    assert run._room("train/m") == MOST_PARALLEL
    assert run.carry_out().state == "done"


def test_a_sweep_that_was_stopped_goes_on_without_doing_finished_trials_again(tmp_path: Path) -> None:
    stopped: list[SweepRun] = []

    def stops(rate: float, rounds: int) -> dict[str, float]:
        if rounds == 3 and not stopped[0]._stopping.is_set():
            stopped[0].stop()
            threading.Event().wait(0.5)
            raise ValueError("killed")
        return near(rate, rounds)

    place = Place(tmp_path, stops)
    stopped.append(place.sweep("rounds=1,2,3,4,5", parallel=1))
    assert stopped[0].carry_out().state == "stopped"
    assert [trial.state for trial in stopped[0].sweep.trials] == ["done", "done", "running"]
    again = place.sweep("rounds=1,2,3,4,5", parallel=1)
    assert again.carry_out().state == "done"
    assert [rounds for _, rounds in place.trained] == [1, 2, 3, 3, 4, 5]
    assert [trial.number for trial in again.sweep.trials] == [1, 2, 3, 4, 5]


def test_more_trials_of_the_same_search_are_added_to_those_that_there_are(tmp_path: Path) -> None:
    place = Place(tmp_path, near)
    place.sweep(random=("rate=0:1",), trials=4).carry_out()
    first = list(place.trained)
    place.sweep(random=("rate=0:1",), trials=6).carry_out()
    assert len(place.trained) == 6
    assert place.trained[:4] == first


def test_a_killed_journal_gives_the_values_of_the_trial_that_had_begun(tmp_path: Path) -> None:
    place = Place(tmp_path, near)
    run = place.sweep(random=("rate=0:1",), trials=3, parallel=1)
    run.carry_out()
    begun = [trial.parameters for trial in run.sweep.trials]
    journal = place.target.state.journal(run.id)
    lines = journal.read_bytes().split(b"\n")
    cut = next(
        at for at, line in enumerate(lines) if b"trial-begun" in line and b'"number":2' in line.replace(b" ", b"")
    )
    journal.write_bytes(b"\n".join(lines[: cut + 1]) + b'\n{"cut of')
    known = sweep_of(read_journal(journal))
    assert known is not None
    assert [trial.state for trial in known.trials] == ["done", "running"]
    again = place.sweep(random=("rate=0:1",), trials=3, parallel=1)
    assert again.carry_out().state == "done"
    assert [trial.parameters for trial in again.sweep.trials] == begun
    assert len(place.trained) == 3


def test_trials_that_are_worse_than_the_median_are_stopped_early_and_not_tried_again(tmp_path: Path) -> None:
    place = Place(tmp_path, near)
    place.curves = {"0.31": [(1, 0.1)], "0.32": [(1, 0.2)], "0.33": [(1, 0.3)], "0.9": [(1, 5.0)]}
    rule = MedianRule(series=Objective(name="loss", maximize=False))
    run = place.sweep("rate=0.31,0.32,0.33,0.9", rule=rule, parallel=1)
    happened = run.carry_out()
    assert happened.state == "done"
    assert [trial.state for trial in run.sweep.trials] == ["done", "done", "done", "stopped"]
    assert run.sweep.trials[3].reason == "stopped early at step 1: loss 5, the median of others is 0.2"
    assert happened.step("train/m.4").state == "stopped"
    again = place.sweep("rate=0.31,0.32,0.33,0.9", rule=rule, parallel=1)
    assert again.carry_out().state == "done"
    assert len(place.trained) == 4


def test_early_stopping_needs_a_target_that_tells_curves(tmp_path: Path) -> None:
    place = Place(tmp_path, near)
    drawn = space_of({"rate": 0.1}, grid=("rate=0.1,0.2",), random=(), optuna=())
    rule = MedianRule(series=ACCURACY)
    request = SweepRequest(model="m", space=drawn, objective=ACCURACY, rule=rule)
    target = MemoryTarget(state=StateDirectory(tmp_path, "memory"))
    prepared = prepare(place.file, target, steps=("register/m",))
    with pytest.raises(FileError, match="memory cannot tell the curve of a training while it runs"):
        SweepRun(prepared, request)


def test_a_parameter_that_the_training_does_not_read_is_told(tmp_path: Path) -> None:
    place = Place(tmp_path, near)
    text = FILE.replace("split: 2}", "split: 2, other: 1}").replace(
        "  models:", "    apart: {run: python apart.py, outputs: [x]}\n  models:"
    )
    place.file.write_text(text)
    (tmp_path / "apart.py").write_text("PLIMSOLL_PARAM_OTHER")
    with pytest.raises(FileError) as caught:
        place.sweep("other=1,2")
    assert "the training of 'm' does not depend on the parameter 'other'" in str(caught.value)
    assert "it depends on: rate, rounds, split" in str(caught.value)


def test_the_model_is_the_only_one_or_has_to_be_named(tmp_path: Path) -> None:
    path = tmp_path / "plimsoll.yaml"
    path.write_text(FILE)
    assert model_to_sweep(KINDS.load(path), None) == "m"
    with pytest.raises(FileError, match="there is no model 'n'"):
        model_to_sweep(KINDS.load(path), "n")
    path.write_text(FILE + "    other: {train: {run: a}}\n")
    with pytest.raises(FileError, match="several models could be meant"):
        model_to_sweep(KINDS.load(path), None)


def test_a_sweep_that_somebody_else_carries_out_is_not_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path, near)
    monkeypatch.setattr(place.target, "joined", lambda: "run 3 of ada@laptop")
    with pytest.raises(TargetError, match="run 3 of ada@laptop carries out this sweep already"):
        place.sweep("rate=0.1,0.2").carry_out()


def test_a_sweep_stands_among_the_runs_and_does_not_change_why_steps_would_run(tmp_path: Path) -> None:
    place = Place(tmp_path, near)
    run = place.sweep("rate=0.1,0.2")
    run.carry_out()
    listed = run_status(place.target.state, run.id)
    assert dict(listed.sweep) == {"rate": "0.1,0.2"}
    assert [step.name for step in listed.steps] == ["run/parts", "train/m.1", "train/m.2", "register/m"]
    prepared = prepare(place.file, place.target, settings=("rate=0.7",))
    place.target.results.clear()
    assert {decision.why for decision in decide(replace(prepared))} == {"new"}
