"""A sweep on a cluster: trials as workloads side by side, the winner registered, losers kept as results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from plimsoll.engine.preparation import prepare
from plimsoll.engine.sweep.median_rule import MedianRule
from plimsoll.engine.sweep.objective import Objective
from plimsoll.engine.sweep.space import space_of
from plimsoll.engine.sweep.sweep_run import SweepRequest, SweepRun
from plimsoll.errors import FileError
from plimsoll.kinds.model import RegisterResult
from plimsoll.targets.models import model_registry
from tests.targets.kubernetes.bench import Bench, Pod, fail

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: a}
spec:
  parameters: {rate: 0.1}
  models:
    m: {train: {run: python train.py, resources: {cpu: 1}}, accept: {accuracy: ">= 0.5"}}
"""
ACCURACY = Objective(name="accuracy", maximize=True)


def leaves(accuracy: float) -> Callable[[Pod], None]:
    def behave(pod: Pod) -> None:
        pod.leave(model_onnx="weights", metrics_json=json.dumps({"accuracy": accuracy}))

    return behave


def sweep_on(bench: Bench, rule: MedianRule | None = None) -> SweepRun:
    (bench.directory / "plimsoll.yaml").write_text(FILE)
    (bench.directory / "train.py").write_text("PLIMSOLL_PARAM_RATE")
    drawn = space_of({"rate": 0.1}, grid=("rate=0.1,0.2,0.3",), random=(), optuna=())
    request = SweepRequest(model="m", space=drawn, objective=ACCURACY, rule=rule)
    return SweepRun(prepare(bench.directory / "plimsoll.yaml", bench.target(), steps=("register/m",)), request)


@pytest.mark.slow
def test_trials_are_workloads_of_their_own_and_the_winner_is_a_version_that_pods_can_pull(bench: Bench) -> None:
    bench.does("train/m.1", leaves(0.6))
    bench.does("train/m.2", leaves(0.8))
    bench.does("train/m.3", fail("diverged"))
    run = sweep_on(bench)
    happened = run.carry_out()
    assert happened.state == "done", happened
    assert [trial.state for trial in run.sweep.trials] == ["done", "done", "failed"]
    assert "diverged" in run.sweep.trials[2].reason
    result = happened.step("register/m").result
    assert isinstance(result, RegisterResult)
    assert result.reference
    (version,) = model_registry(run.prepared.state).versions()
    assert version.metrics == {"accuracy": 0.8}
    begun = len(bench.begun)
    again = sweep_on(bench)
    assert again.carry_out().state == "done"
    assert len(bench.begun) == begun, "nothing of it is done again"


def test_early_stopping_on_a_cluster_is_refused_with_its_reason(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="the files of a pod are read when it has ended"):
        sweep_on(bench, MedianRule(series=ACCURACY))
