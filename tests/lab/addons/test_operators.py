"""Operators for training: what they make of their objects, and what they refuse."""

from __future__ import annotations

import pytest

from lab.errors import LabError
from lab.images.names import AGNHOST
from lab.kubectl import apply, kubectl
from tests.lab.cluster import Manifest, Namespace, until
from tests.lab.conftest import Up

pytestmark = pytest.mark.lab


def runtime(namespace: Namespace) -> Manifest:
    container = {"name": "node", "image": AGNHOST, "command": ["true"]}
    pod = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    labels = {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
    job = {"name": "node", "template": {"metadata": {"labels": labels}, "spec": {"template": pod}}}
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainingRuntime",
        "metadata": {"name": "torch"},
        "spec": {
            "mlPolicy": {"numNodes": 1, "torch": {"numProcPerNode": 1}},
            "template": {"spec": {"replicatedJobs": [job]}},
        },
    }


def train_job(name: str, command: str, runtime_name: str = "torch") -> Manifest:
    reference = {"apiGroup": "trainer.kubeflow.org", "kind": "TrainingRuntime", "name": runtime_name}
    trainer = {"numNodes": 2, "image": AGNHOST, "command": ["sh", "-c", command]}
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": name},
        "spec": {"runtimeRef": reference, "trainer": trainer},
    }


def test_a_train_job_gives_its_workers_their_rank_and_finishes(up: Up, namespace: Namespace) -> None:
    up("trainer")
    namespace.create(runtime(namespace))
    namespace.create(train_job("job", "echo rank $PET_NODE_RANK of $PET_NNODES"))

    def complete() -> bool:
        conditions = namespace.get("trainjob", "job").get("status", {}).get("conditions", [])
        return any(each["type"] == "Complete" and each["status"] == "True" for each in conditions)

    until(complete, limit=90, what="the end of the job")
    pods = [each["metadata"]["name"] for each in namespace.get("pods")]
    printed = {kubectl("logs", pod, f"-n{namespace.name}").strip() for pod in pods}
    assert printed == {"rank 0 of 2", "rank 1 of 2"}


def test_the_webhook_of_the_trainer_refuses_a_job_without_its_runtime(up: Up, namespace: Namespace) -> None:
    up("trainer")
    with pytest.raises(LabError, match=r"admission webhook \"validator.trainjob.trainer.kubeflow.org\" denied"):
        namespace.create(train_job("job", "true", runtime_name="nobody"))
    namespace.create(runtime(namespace))
    namespace.create(train_job("job", "true"))


def test_kuberay_makes_a_head_and_workers_and_replaces_a_lost_head(up: Up, namespace: Namespace) -> None:
    """Ray itself does not run in this: the containers wait."""
    up("kuberay")

    def template(name: str) -> Manifest:
        container = {"name": name, "image": AGNHOST, "command": ["/agnhost", "pause"]}
        return {"spec": {"terminationGracePeriodSeconds": 0, "containers": [container]}}

    workers = {"groupName": "workers", "replicas": 2, "minReplicas": 0, "maxReplicas": 2, "rayStartParams": {}}
    manifest = {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": "cluster", "namespace": namespace.name},
        "spec": {
            "headGroupSpec": {"rayStartParams": {}, "template": template("head")},
            "workerGroupSpecs": [{**workers, "template": template("worker")}],
        },
    }
    import json

    apply(json.dumps(manifest))
    until(lambda: len(_pods(namespace)) == 3, limit=60, what="a head and two workers")
    head = next(uid for uid, kind in _pods(namespace).items() if kind == "head")
    kubectl("delete", "pods", f"-n{namespace.name}", "-lray.io/node-type=head", "--grace-period=0", "--force")
    until(
        lambda: (found := _pods(namespace)) and "head" in found.values() and head not in found,
        limit=60,
        what="another head",
    )


def _pods(namespace: Namespace) -> dict[str, str]:
    return {each["metadata"]["uid"]: each["metadata"]["labels"]["ray.io/node-type"] for each in namespace.get("pods")}
