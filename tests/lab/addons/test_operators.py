"""Training operators create pods from their objects, and refuse wrong objects."""

from __future__ import annotations

import re

import pytest

from lab import nodes
from lab.errors import LabError
from lab.images import ray
from lab.images.names import AGNHOST
from lab.images.store import load_everywhere
from lab.kubectl import kubectl
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


def train_job(name: str, command: str) -> Manifest:
    reference = {"apiGroup": "trainer.kubeflow.org", "kind": "TrainingRuntime", "name": "torch"}
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


def test_the_webhook_of_the_trainer_refuses_a_name_that_no_host_can_have(up: Up, namespace: Namespace) -> None:
    """The test does not use a job without its runtime, as Kueue's webhook refuses that too, and either may answer."""
    up("trainer")
    namespace.create(runtime(namespace))
    with pytest.raises(LabError, match=r"admission webhook \"validator.trainjob.trainer.kubeflow.org\" denied"):
        namespace.create(train_job("1job", "true"))
    namespace.create(train_job("job", "true"))


TASK = """
import ray
ray.init()
# A task takes all that a pod has, and takes a while: two at a time are on two.
@ray.remote(num_cpus=1)
def square(number):
    import socket, time
    time.sleep(1)
    return number * number, socket.gethostname()
found = ray.get([square.remote(number) for number in range(10)])
print("RESULT", sum(number for number, _ in found), *sorted({host for _, host in found}))
"""


def ray_pod(name: str, image: str, probes: Manifest) -> Manifest:
    container = {
        "name": name,
        "image": image,
        "resources": {"requests": {"cpu": "50m", "memory": "512Mi"}, "limits": {"cpu": "1", "memory": "2Gi"}},
        "volumeMounts": [{"name": "task", "mountPath": "/task"}],
        **probes,
    }
    volumes = [{"name": "task", "configMap": {"name": "task"}}]
    return {"spec": {"terminationGracePeriodSeconds": 0, "containers": [container], "volumes": volumes}}


def ray_job(image: str) -> Manifest:
    start = {"num-cpus": "1"}
    workers = {"groupName": "workers", "replicas": 1, "minReplicas": 1, "maxReplicas": 1, "rayStartParams": start}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": "squares"},
        "spec": {
            "entrypoint": "python3 /task/task.py",
            "rayClusterSpec": {
                "rayVersion": ray.VERSION,
                "headGroupSpec": {
                    "rayStartParams": start,
                    "template": ray_pod("head", image, ray.probes(*ray.HEAD_PROBE)),
                },
                "workerGroupSpecs": [{**workers, "template": ray_pod("worker", image, ray.probes(*ray.NODE_PROBE))}],
            },
        },
    }


def printed_by_job(namespace: Namespace) -> str | None:
    """The result in the log on the head. The pod that submits the job may end before it receives the whole log."""
    job = namespace.get("rayjob", "squares")["status"]["jobId"]
    (head,) = (name for pod in namespace.get("pods") if "-head-" in (name := pod["metadata"]["name"]))
    address = f"http://127.0.0.1:8265/api/jobs/{job}/logs"
    asked = namespace.execute(head, "curl", "-sS", "-m", "10", address, container="head")
    found = re.search(r"RESULT ([^\\\n\"]*)", asked.stdout)
    return found[1] if found else None


@pytest.mark.slow
def test_a_ray_job_computes_on_its_head_and_its_worker(up: Up, namespace: Namespace) -> None:
    up("kuberay")
    image = ray.ray_image()
    load_everywhere([image], nodes.all_nodes())
    namespace.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "task"}, "data": {"task.py": TASK}})
    namespace.create(ray_job(image.names[0]))

    def ended() -> str | None:
        status = str(namespace.get("rayjob", "squares").get("status", {}).get("jobStatus", ""))
        return status if status in ("SUCCEEDED", "FAILED", "STOPPED") else None

    end = until(ended, limit=300, what="the end of the job")
    assert end == "SUCCEEDED", kubectl("logs", "job/squares", f"-n{namespace.name}", "--tail=50")
    result = until(lambda: printed_by_job(namespace), limit=60, what="what the job printed")
    total, *hosts = result.split()
    assert int(total) == sum(number * number for number in range(10))
    assert len(hosts) == 2
    assert set(hosts) <= {each["metadata"]["name"] for each in namespace.get("pods")}


def test_kuberay_makes_a_head_and_workers_and_replaces_a_lost_head(up: Up, namespace: Namespace) -> None:
    """The containers only wait, as another test runs Ray."""
    up("kuberay")

    def template(name: str) -> Manifest:
        container = {"name": name, "image": AGNHOST, "command": ["/agnhost", "pause"]}
        return {"spec": {"terminationGracePeriodSeconds": 0, "containers": [container]}}

    workers = {"groupName": "workers", "replicas": 2, "minReplicas": 0, "maxReplicas": 2, "rayStartParams": {}}
    manifest = {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": "cluster"},
        "spec": {
            "headGroupSpec": {"rayStartParams": {}, "template": template("head")},
            "workerGroupSpecs": [{**workers, "template": template("worker")}],
        },
    }
    namespace.create(manifest)
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
