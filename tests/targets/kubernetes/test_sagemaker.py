"""Trainings by Amazon SageMaker: objects that its controller's schema takes, its states, and a job that really trains.

Nobody of AWS is here: what a controller would write is written by the test, and the job's container is a process of
this machine that starts as SageMaker starts one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from plimsoll.application.digests import Digests
from plimsoll.application.isolation import Isolation
from plimsoll.application.sagemaker import SageMaker
from plimsoll.errors import FileError, TargetError
from plimsoll.kinds.adapters import Base
from plimsoll.kinds.train import TrainGang, TrainResult
from plimsoll.kubernetes.api import Api
from plimsoll.kubernetes.cluster import SAGEMAKER
from plimsoll.planning.steps import AnyStep, Ingredient, Plan, WorkerResources
from plimsoll.runtime.sagemaker import joined, pieces, rank_of
from plimsoll.targets.features import PLAN_CHECK
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.reasons.ack import training_state
from plimsoll.targets.kubernetes.target import KubernetesTarget
from plimsoll.targets.kubernetes.work import sagemaker
from tests.targets.kubernetes.bench import APPLICATION, Bench, Carried
from tests.targets.kubernetes.clouds import node, prepared
from tests.targets.kubernetes.real_pods import on_a_node

ASKED = SageMaker(role="arn:aws:iam::123456789012:role/training", output="s3://bucket/out", instance="ml.m5.xlarge")
CRDS = Path(__file__).with_name("sagemaker_crds.yaml")
META = {"ownerAccountID": "123456789012", "region": "eu-west-1"}
MAIN = """
import sys
from plimsoll.runtime.pod import __main__ as pod, store
pod.WORK = store.WORK = sys.argv.pop(1)
from plimsoll.runtime import sagemaker
sagemaker.main()
"""
Says = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def ack(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A cluster that has the controller's definitions."""
    monkeypatch.setattr(sagemaker, "LOOK", 0.05)
    for each in yaml.safe_load_all(CRDS.read_text()):
        bench.cluster.put(each)
    return bench


def target(bench: Bench) -> KubernetesTarget:
    return bench.target(sagemaker=ASKED, called="cloud")


def training(bench: Bench, script: str = "print('training')\n", **settings: Any) -> AnyStep:
    path = bench.directory / "train.py"
    path.write_text(script)
    digest = Digests(bench.directory / "digests").of(path)
    made_of = (Ingredient(kind="code", name="train.py", digest=digest),)
    return bench.training("triage", ingredients=made_of, **settings)


def job_of(bench: Bench, step: AnyStep) -> dict[str, Any] | None:
    return bench.find("TrainingJob", names.workload(APPLICATION, step), SAGEMAKER)


def says(bench: Bench, job: dict[str, Any], status: dict[str, Any]) -> None:
    """Write what a controller would write."""
    bench.cluster.put({**job, "status": {"ackResourceMetadata": META, "conditions": [], **status}})


def carried(bench: Bench, step: AnyStep, *told: Says, attempt: int = 1) -> Carried:
    """An attempt, in which a controller says one thing after the other, each once the one before has been read."""
    found = Carried(bench.session(target(bench)).start(step, attempt))
    assert bench.cluster.wait_for(lambda: job_of(bench, step) is not None), (found._problem, found.seen)
    for each in told:
        job = job_of(bench, step)
        assert job is not None
        at_rest(found)
        before = len(found.seen)
        says(bench, job, each(job))
        # What is said of the end ends the attempt, with one more observation.
        until = time.monotonic() + 3
        while len(found.seen) == before and time.monotonic() < until:
            time.sleep(0.02)
    return found


def at_rest(found: Carried) -> None:
    """Wait until an attempt has told all that it knows: nothing new within several looks at its object."""
    count = -1
    while len(found.seen) != count:
        count = len(found.seen)
        time.sleep(0.3)


def condition(kind: str, status: str = "True", message: str = "") -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status, "message": message}]}


@pytest.mark.slow
def test_a_training_is_an_object_that_the_controller_s_schema_takes_whole(ack: Bench) -> None:
    step = training(ack, workers=2, resources=WorkerResources(spot="only"))
    found = carried(ack, step)
    job = job_of(ack, step)
    assert job is not None
    spec = job["spec"]
    assert (spec["roleARN"], spec["outputDataConfig"]) == (ASKED.role, {"s3OutputPath": "s3://bucket/out"})
    assert spec["resourceConfig"] == {"instanceType": "ml.m5.xlarge", "instanceCount": 2, "volumeSizeInGB": 30}
    assert spec["stoppingCondition"] == {"maxRuntimeInSeconds": 86400, "maxWaitTimeInSeconds": 172800}
    assert spec["enableManagedSpotTraining"] is True
    task = json.loads(joined(spec["hyperParameters"]))
    assert task["action"] == "train"
    assert all(len(each) <= 256 for each in spec["hyperParameters"].values())
    assert job["metadata"]["labels"]["plimsoll.dev/application"] == APPLICATION
    assert not ack.objects("Pod")
    # A field that the schema does not know would have been dropped.
    api = Api(ack.cluster.context)
    fresh = {"apiVersion": SAGEMAKER, "kind": "TrainingJob", "metadata": {"name": "x", "namespace": APPLICATION}}
    assert api.create({**fresh, "spec": spec}, dry_run=True)["spec"] == spec
    api.close()
    found.attempt.stop()
    assert found.end().outcome == "stopped"
    assert job_of(ack, step) is None


@pytest.mark.slow
def test_what_the_controller_says_is_told_in_words_once_and_ends_the_step(ack: Bench) -> None:
    step = training(ack)
    found = carried(
        ack,
        step,
        lambda _: condition("ACK.Recoverable", message="ThrottlingException: slow down"),
        lambda _: {"trainingJobStatus": "InProgress", "secondaryStatus": "Starting"},
        lambda _: {"trainingJobStatus": "InProgress", "secondaryStatus": "Interrupted"},
        lambda _: {"trainingJobStatus": "Failed", "failureReason": "AlgorithmError: exit code 3."},
    )
    end = found.end()
    assert (end.outcome, end.reason) == ("failed", "AlgorithmError: exit code 3")
    first, *rest = [each for each in found.reasons() if "has not looked at it yet" not in each]
    job = job_of(ack, step)
    assert "its log is /aws/sagemaker/TrainingJobs in CloudWatch" in first
    assert rest == [
        "SageMaker's controller tries again, for it was refused: ThrottlingException: slow down",
        "SageMaker starts its machines",
        "SageMaker has taken its spot machines away, and starts it again",
    ]
    assert job is None


@pytest.mark.slow
def test_each_attempt_has_a_name_of_its_own_in_sagemaker_for_names_are_taken_for_ever(ack: Bench) -> None:
    step = training(ack)
    called = []

    def fails(job: dict[str, Any]) -> dict[str, Any]:
        called.append(job["spec"]["trainingJobName"])
        return {"trainingJobStatus": "Failed", "failureReason": "no"}

    assert carried(ack, step, fails).end().outcome == "failed"
    assert carried(ack, step, fails, attempt=2).end().outcome == "failed"
    assert len(set(called)) == 2
    assert all(len(each) <= 63 for each in called)


@pytest.mark.slow
def test_a_job_that_is_under_way_is_found_and_not_made_again(ack: Bench) -> None:
    step = training(ack)
    first = carried(ack, step, lambda _: {"trainingJobStatus": "InProgress", "secondaryStatus": "Training"})
    job = job_of(ack, step)
    again = Carried(ack.session(target(ack), run="run-2").start(step, 1))
    assert ack.cluster.wait_for(lambda: len(again.seen) > 0)
    now = job_of(ack, step)
    assert job is not None
    assert now is not None
    assert now["spec"]["trainingJobName"] == job["spec"]["trainingJobName"]
    says(ack, now, {"trainingJobStatus": "Stopped", "secondaryStatus": "Stopped"})
    # Whoever looks first takes the object away.
    assert {first.end().outcome, again.end().outcome} == {"failed"}
    assert "somebody has stopped it in SageMaker" in {first.end().reason, again.end().reason}


class Machine:
    """What SageMaker does with a job: its container, started as it starts one, with its files."""

    def __init__(self, bench: Bench, place: Path) -> None:
        self.bench, self.place = bench, place
        self.ended: subprocess.CompletedProcess[str] | None = None

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        config = self.place / "ml/input/config"
        config.mkdir(parents=True)
        (self.place / "work").mkdir()
        (config / "hyperparameters.json").write_text(json.dumps(job["spec"]["hyperParameters"]))
        hosts = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"}
        (config / "resourceconfig.json").write_text(json.dumps(hosts))
        environment = {**on_a_node(), "PLIMSOLL_SAGEMAKER": str(self.place / "ml")}
        self.ended = subprocess.run(
            [sys.executable, "-c", MAIN, str(self.place / "work"), "train"],
            env=environment,
            cwd=self.bench.directory,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if self.ended.returncode == 0:
            return {"trainingJobStatus": "Completed", "secondaryStatus": "Completed"}
        reason = (self.place / "ml/output/failure").read_text()
        return {"trainingJobStatus": "Failed", "failureReason": f"AlgorithmError: {reason}"}


@pytest.mark.slow
def test_a_job_trains_in_the_container_that_sagemaker_starts_and_its_result_is_the_step_s(
    ack: Bench, tmp_path: Path
) -> None:
    script = "import os, pathlib\nplace = pathlib.Path(os.environ['PLIMSOLL_OUTPUT'])\n"
    script += "(place / 'model.onnx').write_text('trained')\n(place / 'metrics.json').write_text('{\"auc\": 0.5}')\n"
    step = training(ack, script)
    machine = Machine(ack, tmp_path / "machine")
    found = carried(ack, step, machine.run)
    end = found.end()
    assert machine.ended is not None
    assert end.outcome == "done", (end.reason, machine.ended.stderr)
    result = ack.session(target(ack), run="run-3").result(step)
    assert isinstance(result, TrainResult)
    assert result.metrics == {"auc": 0.5}
    assert "model.onnx" in [each.name for each in result.outputs]


@pytest.mark.slow
@pytest.mark.series
def test_a_command_that_fails_there_says_so_to_sagemaker(ack: Bench, tmp_path: Path) -> None:
    step = training(ack, "raise SystemExit(7)\n")
    end = carried(ack, step, Machine(ack, tmp_path / "machine").run).end()
    assert (end.outcome, end.reason) == ("failed", "AlgorithmError: the command ended with status 7")


@pytest.mark.parametrize(
    ("status", "state", "words"),
    [
        ({"trainingJobStatus": "Completed"}, "done", ""),
        ({"trainingJobStatus": "Stopped", "secondaryStatus": "MaxRuntimeExceeded"}, "failed", "time limit of 60 s"),
        ({"trainingJobStatus": "Stopped", "secondaryStatus": "MaxWaitTimeExceeded"}, "failed", "no spot machines"),
        (condition("ACK.Terminal", message="ValidationException: no role."), "failed", "no role"),
        (condition("ACK.Terminal", status="False"), "", ""),
        (condition("ACK.ResourceSynced", status="False"), "", ""),
        ({}, "", "has not looked at it yet"),
        ({"trainingJobStatus": "Stopping", **condition("ACK.ResourceSynced", "False")}, "", "stops it"),
        # What has ended has ended, whatever the controller could not write after it.
        ({"trainingJobStatus": "Completed", **condition("ACK.Terminal", message="x")}, "done", ""),
    ],
)
def test_states_of_the_controller_are_ours(status: dict[str, Any], state: str, words: str) -> None:
    found = training_state({"status": status}, 60)
    assert found.state == state
    assert words in found.words


def test_a_refusal_by_sagemaker_is_not_tried_again() -> None:
    assert training_state({"status": condition("ACK.Terminal", message="no")}, 60).lasting


def test_ranks_are_those_of_the_hosts_and_others_are_refused() -> None:
    hosts = ["algo-1", "algo-10", *(f"algo-{number}" for number in range(2, 10))]
    assert [rank_of(f"algo-{number}", hosts) for number in (1, 2, 10)] == [0, 1, 9]
    for host in ("algo-0", "algo-11", "", "algo-1\n", "x"):
        with pytest.raises(TargetError):
            rank_of(host, hosts)


def test_a_task_that_lacks_a_piece_or_is_too_long_is_refused() -> None:
    task = "x" * 1000
    whole = dict(pieces(task))
    assert joined(whole) == task
    del whole["task-01"]
    with pytest.raises(TargetError, match="lack the piece task-01"):
        joined(whole)
    with pytest.raises(TargetError, match="SageMaker takes 25600"):
        list(pieces("x" * 25_601))


@pytest.mark.slow
def test_what_sagemaker_does_not_do_is_refused_before_anything_is_made(ack: Bench) -> None:
    check = target(ack).features.require(PLAN_CHECK)

    def refused(step: AnyStep) -> list[str]:
        return [each.message for each in check(Plan(application=APPLICATION, target="memory", steps=(step,)))]

    assert refused(training(ack)) == []
    # Spot machines of SageMaker are none of the cluster's nodes.
    assert refused(training(ack, resources=WorkerResources(cpu=0.1, spot="only"))) == []
    assert "is MPI's" in refused(training(ack, framework="mpi", workers=2))[0]
    assert "kept apart strictly" in refused(training(ack, isolation=Isolation(level="strict")))[0]
    adapter = TrainGang(command="python train.py", framework="none", base=Base(reference="m@1"))
    assert "is of an adapter" in refused(ack.step("style", adapter))[0]


FILE = """\
  targets:
    cloud:
      context: CONTEXT
      route: REGISTRY
      sagemaker: {role: "arn:aws:iam::123456789012:role/training", output: "s3://bucket/out", instance: ml.m5.xlarge}
  models:
    m: {train: {run: python train.py}}
"""


@pytest.mark.slow
def test_the_file_chooses_sagemaker_and_a_cluster_without_its_controller_is_refused(bench: Bench) -> None:
    node(bench, "eks")
    with pytest.raises(FileError, match="sagemaker cannot carry training") as refused:
        prepared(bench, FILE)
    assert refused.value.where == "spec.targets.cloud.sagemaker"
    assert "install the ACK controller" in refused.value.hint
    for each in yaml.safe_load_all(CRDS.read_text()):
        bench.cluster.put(each)
    facts = prepared(bench, FILE).facts
    assert facts.providers["training"].startswith("sagemaker: Amazon SageMaker on ml.m5.xlarge")
    without = FILE[: FILE.index("      sagemaker:")] + FILE[FILE.index("  models:") :]
    assert "training" not in prepared(bench, without).facts.providers
