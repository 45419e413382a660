"""JobSet runs groups of jobs, and Kueue admits gangs as a whole."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lab.documents import json_list
from lab.errors import LabError
from lab.images.names import AGNHOST
from lab.kubectl import apply, kubectl
from tests.lab.cluster import Manifest, Namespace, until
from tests.lab.conftest import Up

pytestmark = pytest.mark.lab


def job_set(name: str, workers: int, command: str, cpu: str = "10m", **metadata: Any) -> Manifest:
    container = {
        "name": "main",
        "image": AGNHOST,
        "command": ["sh", "-c", command],
        "resources": {"requests": {"cpu": cpu}},
    }
    pod = {"spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]}}
    job = {"spec": {"parallelism": workers, "completions": workers, "backoffLimit": 0, "template": pod}}
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": name, **metadata},
        "spec": {
            "network": {"enableDNSHostnames": True},
            "replicatedJobs": [{"name": "workers", "replicas": 1, "template": job}],
        },
    }


def finished(namespace: Namespace, name: str) -> str | None:
    conditions = namespace.get("jobset", name).get("status", {}).get("conditions", [])
    return next((each["type"] for each in conditions if each["status"] == "True" and each["type"] != "Suspended"), None)


def test_the_workers_of_a_job_set_find_each_other_by_name_and_finish(up: Up, namespace: Namespace) -> None:
    up("jobset")
    # Each worker needs a connection with the other by its stable name. Alone, neither succeeds.
    talk = (
        "if [ $JOB_COMPLETION_INDEX = 0 ]; then echo met | timeout 60 nc -l -p 7000; "
        "else for i in $(seq 60); do nc gang-workers-0-0.gang 7000 </dev/null | grep met && exit 0; sleep 1; done; exit 1; fi"
    )
    namespace.create(job_set("gang", 2, talk))
    assert until(lambda: finished(namespace, "gang"), limit=90, what="the end of the job set") == "Completed"


def test_a_job_set_that_fails_is_said_to_have_failed(up: Up, namespace: Namespace) -> None:
    up("jobset")
    namespace.create(job_set("gang", 2, "exit $JOB_COMPLETION_INDEX"))
    assert until(lambda: finished(namespace, "gang"), limit=60, what="the end of the job set") == "Failed"


def test_the_webhook_of_jobset_refuses_a_nonsense_and_takes_its_near_twin(up: Up, namespace: Namespace) -> None:
    up("jobset")
    wrong = job_set("gang", 1, "true")
    wrong["spec"]["successPolicy"] = {"operator": "All", "targetReplicatedJobs": ["nobody"]}
    with pytest.raises(LabError, match=r"admission webhook \"vjobset.kb.io\" denied the request"):
        namespace.create(wrong)
    right = job_set("gang", 1, "true")
    right["spec"]["successPolicy"] = {"operator": "All", "targetReplicatedJobs": ["workers"]}
    namespace.create(right)


def test_kueue_admits_a_gang_whole_or_not_at_all(up: Up, namespace: Namespace) -> None:
    up("jobset", "kueue")
    _queue(namespace, cpu="1")
    label = {"labels": {"kueue.x-k8s.io/queue-name": "queue"}}
    try:
        namespace.create(job_set("fits", 2, "sleep 600", cpu="400m", **label))
        until(lambda: _running(namespace, "fits") == 2, limit=60, what="the gang that fits")
        # One of its two workers would fit into the free quota.
        namespace.create(job_set("waits", 2, "sleep 600", cpu="200m", **label))
        time.sleep(4)
        assert not _pods(namespace, "waits")
        kubectl("delete", "jobset", "fits", f"-n{namespace.name}")
        until(lambda: _running(namespace, "waits") == 2, limit=60, what="the gang that waited")
    finally:
        kubectl("delete", "clusterqueue,resourceflavor", namespace.name, "--wait=false")


def _queue(namespace: Namespace, cpu: str) -> None:
    flavor = {
        "apiVersion": "kueue.x-k8s.io/v1beta1",
        "kind": "ResourceFlavor",
        "metadata": {"name": namespace.name},
    }
    quota = {"name": namespace.name, "resources": [{"name": "cpu", "nominalQuota": cpu}]}
    cluster_queue = {
        "apiVersion": "kueue.x-k8s.io/v1beta1",
        "kind": "ClusterQueue",
        "metadata": {"name": namespace.name},
        "spec": {"namespaceSelector": {}, "resourceGroups": [{"coveredResources": ["cpu"], "flavors": [quota]}]},
    }
    apply_all(flavor, cluster_queue)
    namespace.create(
        {
            "apiVersion": "kueue.x-k8s.io/v1beta1",
            "kind": "LocalQueue",
            "metadata": {"name": "queue"},
            "spec": {"clusterQueue": namespace.name},
        }
    )


def apply_all(*manifests: Manifest) -> None:
    apply(json_list(manifests))


def _pods(namespace: Namespace, name: str) -> list[Manifest]:
    return [
        each
        for each in namespace.get("pods")
        if each["metadata"]["labels"].get("jobset.sigs.k8s.io/jobset-name") == name
    ]


def _running(namespace: Namespace, name: str) -> int:
    return sum(each["status"]["phase"] == "Running" for each in _pods(namespace, name))
