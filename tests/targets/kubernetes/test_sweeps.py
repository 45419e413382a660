"""A sweep on a cluster: trials as workloads side by side, the winner registered, losers kept as results."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import pytest

from plimsoll.engine.preparation import prepare
from plimsoll.engine.sweep.median_rule import MedianRule
from plimsoll.engine.sweep.objective import Objective
from plimsoll.engine.sweep.space import space_of
from plimsoll.engine.sweep.sweep_run import SweepRequest, SweepRun
from plimsoll.kinds.register import RegisterResult
from plimsoll.kubernetes.memory.controllers import Ended
from plimsoll.runtime.pod.store import PodStore
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


def sweep_on(bench: Bench, rule: MedianRule | None = None, rates: str = "0.1,0.2,0.3") -> SweepRun:
    (bench.directory / "plimsoll.yaml").write_text(FILE)
    (bench.directory / "train.py").write_text("PLIMSOLL_PARAM_RATE")
    drawn = space_of({"rate": 0.1}, grid=(f"rate={rates}",), random=(), optuna=())
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


@pytest.mark.slow
def test_a_trial_whose_curve_falls_behind_is_stopped_early_while_its_pod_runs(bench: Bench) -> None:
    def trains(pod: Pod) -> None:
        write_points(pod, dict.fromkeys(range(1, 4), 0.6))
        pod.leave(model_onnx="weights", metrics_json=json.dumps({"accuracy": 0.6}))

    def falls_behind(pod: Pod) -> Ended:
        write_points(pod, {1: 0.1})
        write_points(pod, {1: 0.1, 2: 0.2})
        return pod.wait()

    for number in (1, 2, 3):
        bench.does(f"train/m.{number}", trains)
    bench.does("train/m.4", falls_behind)
    run = sweep_on(bench, MedianRule(series=ACCURACY, grace=2.0), rates="0.1,0.2,0.3,0.4")
    happened = run.carry_out()
    assert happened.state == "done", happened
    (last,) = [trial for trial in run.sweep.trials if trial.number == 4]
    assert (last.state, last.reason) == (
        "stopped",
        "stopped early at step 2: accuracy 0.2, the median of others is 0.6",
    )
    step = next(each for each in happened.steps if each.name == "train/m.4")
    assert run.prepared.state.curve(step.key) == {"accuracy": ((1.0, 0.1), (2.0, 0.2))}


def write_points(pod: Pod, points: Mapping[int, float]) -> None:
    """Push a curve as the process of a pod does."""
    (pod.output / "metrics.jsonl").write_text(
        "".join(json.dumps({"step": step, "accuracy": value}) + "\n" for step, value in points.items())
    )
    with PodStore(pod.task) as store:
        curve = store.curve(pod.output.parent / f"{pod.name}-curve", pod.output, print)
        assert curve is not None
        curve.push()
