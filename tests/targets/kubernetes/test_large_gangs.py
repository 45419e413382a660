"""Gangs of thousands of workers: what each pod is told, what is read of each, and what is too many."""

from __future__ import annotations

from typing import Any

import pytest

from plimsoll.kinds.train import Framework, TrainGang
from plimsoll.kubernetes.api import Api
from plimsoll.kubernetes.cluster import Cluster
from plimsoll.planning.steps import Plan, Step
from plimsoll.runtime.contracts import contract_of
from plimsoll.runtime.contracts.gang import Gang
from plimsoll.runtime.pod.gang import MANY, _awaited
from plimsoll.runtime.pod_task import PodTask, decode_task
from plimsoll.targets.kubernetes.manifests.gang import host_names
from plimsoll.targets.kubernetes.plan_check import problems
from plimsoll.targets.kubernetes.watched_pods import watched_pods
from tests.targets.kubernetes.bench import APPLICATION, Bench, Pod, fail

WORKERS = 4096
CHOSEN = {"gang": "jobset", "serving": "deployment", "traffic": "service", "scale": "hpa", "metrics": "annotations"}


def plan_of(framework: Framework, workers: int = WORKERS) -> Plan:
    work = TrainGang(command="python train.py", framework=framework, size=workers)
    return Plan(application="app", target="lab", steps=(Step(part="large", key="a" * 64, work=work),))


@pytest.mark.parametrize("provider", ["jobset", "trainjob", "job"])
def test_a_task_names_thousands_of_hosts_in_a_few_bytes(provider: str) -> None:
    hosts = host_names(provider, "app-train-large-01234567", WORKERS)
    encoded = PodTask(action="train", step="train/large", key="k", hosts=hosts, result="r").encoded()
    assert len(encoded) < 1000
    assert decode_task(encoded).hosts == hosts


def test_hosts_that_cannot_be_counted_are_spelled_out() -> None:
    for hosts in (("localhost",), ("a", "b", "c"), ("w-0", "w-2"), ("w-1", "w-0")):
        task = PodTask(action="train", step="s", key="k", hosts=hosts, result="r")
        assert decode_task(task.encoded()) == task


def test_a_variable_that_linux_would_not_take_is_refused_by_the_plan() -> None:
    where = Cluster(target="lab", namespace="app")
    (found,) = problems(plan_of("tensorflow"), where, CHOSEN)
    assert found.message.startswith("TF_CONFIG of 4096 workers would have ")
    assert (found.step, found.setting) == ("train/large", ("workers",))
    for framework in ("torch", "jax", "xgboost", "lightgbm", "none"):
        assert problems(plan_of(framework), where, CHOSEN) == ()
    hosts = host_names("jobset", "app-train-large-01234567", WORKERS)
    gang = Gang(hosts=hosts, ports=(29500,) * WORKERS, directory="/work")
    told = contract_of("lightgbm").environment(0, gang)
    assert "LIGHTGBM_MACHINES" not in told
    assert told["LIGHTGBM_MACHINE_LIST_FILENAME"] == "/work/machines.txt"


def test_only_the_first_worker_of_a_large_gang_waits_for_all_others() -> None:
    few, many = tuple(map(str, range(MANY))), tuple(map(str, range(MANY + 1)))
    assert _awaited(few, 5) == few
    assert _awaited(many, 0) == many
    assert _awaited(many, 5) == ("0",)


def test_pods_are_read_without_what_nobody_looks_at(bench: Bench) -> None:
    session = bench.session()
    step = bench.training("large", workers=2)
    list(session.start(step, 1))
    api = Api(bench.cluster.context)
    pods = watched_pods(api, APPLICATION, "")
    api.close()
    assert len(pods) == 2
    for pod in pods:
        assert {"name", "labels", "annotations", "uid"} <= set(pod["metadata"])
        assert "managedFields" not in pod["metadata"]
        assert "env" not in pod["spec"]["containers"][0]
        assert "volumes" not in pod["spec"]
        assert pod["status"]["phase"] in ("Succeeded", "Running")


def test_a_worker_whose_output_is_not_followed_still_tells_why_it_failed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plimsoll.targets.kubernetes import logs

    monkeypatch.setattr(logs, "FOLLOWED", 1)

    def second(pod: Pod) -> Any:
        return fail("no such column")(pod) if pod.rank else pod.wait()

    bench.does("train/large", second)
    session = bench.session()
    carried = list(session.start(bench.training("large", workers=2), 1))
    assert "worker 1" in str(carried[-1].fact)
    assert "no such column" in str(carried[-1].fact)
