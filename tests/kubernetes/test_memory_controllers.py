"""What the controllers in memory make of workloads."""

from __future__ import annotations

from typing import Any

import pytest

from plimsoll.kubernetes.api import Api
from plimsoll.kubernetes.cluster import GATEWAY, JOBSET, KUEUE
from plimsoll.kubernetes.memory import MemoryCluster
from plimsoll.kubernetes.memory.controllers import (
    ContainerWaiting,
    Ended,
    Gateways,
    JobSets,
    Queues,
    Running,
    suspend_queued,
    workloads,
)
from plimsoll.kubernetes.objects import has_condition
from tests.kubernetes.asking import Manifest, container, deployment, pod

PLACE = "here"
QUEUED = {"kueue.x-k8s.io/queue-name": "queue"}


@pytest.fixture(autouse=True)
def namespace(cluster: MemoryCluster, api: Api) -> None:
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": PLACE}})
    cluster.add_node("node-1")


def job(name: str = "task", **spec: Any) -> Manifest:
    template = {"spec": {"restartPolicy": "Never", "containers": [container()]}}
    metadata = {"name": name, "namespace": PLACE}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template, **spec}}


def job_set(restarts: int = 0, **spec: Any) -> Manifest:
    template = {"spec": {**job()["spec"], "completionMode": "Indexed", "completions": 2, "parallelism": 2}}
    template["spec"]["backoffLimit"] = 0
    jobs = [{"name": "workers", "replicas": 1, "template": template}]
    return {
        "apiVersion": JOBSET,
        "kind": "JobSet",
        "metadata": {"name": "gang", "namespace": PLACE},
        "spec": {"replicatedJobs": jobs, "failurePolicy": {"maxRestarts": restarts}, **spec},
    }


def comes_to(cluster: MemoryCluster, api: Api, found: Manifest, condition: str) -> Manifest:
    """The object once a condition of it is true."""
    key = (found["apiVersion"], found["kind"], found["metadata"]["name"], found["metadata"].get("namespace"))
    assert cluster.wait_for(lambda: has_condition(api.get(*key), condition)), api.get(*key)
    return api.get(*key)


def pods(cluster: MemoryCluster, selector: str = "") -> list[Manifest]:
    return cluster.list("v1", "Pod", PLACE, selector)


def test_a_job_runs_its_pods_to_the_end_that_a_test_decides(cluster: MemoryCluster, api: Api) -> None:
    def program(running: Running) -> Ended:
        running.print(f"this is {running.name}")
        return Ended(message="all is well")

    cluster.run(*workloads(program))
    done = comes_to(cluster, api, api.create(job()), "Complete")
    assert done["status"]["succeeded"] == 1
    (found,) = pods(cluster)
    state = found["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (found["status"]["phase"], state["exitCode"], state["message"]) == ("Succeeded", 0, "all is well")
    assert found["spec"]["nodeName"] == "node-1"
    assert api.logs(found["metadata"]["name"], PLACE) == f"this is {found['metadata']['name']}\n"


def test_a_job_fails_after_its_backoff_limit(cluster: MemoryCluster, api: Api) -> None:
    cluster.run(*workloads(lambda _: Ended(code=3)))
    failed = comes_to(cluster, api, api.create(job(backoffLimit=1)), "Failed")
    (reason,) = [each["reason"] for each in failed["status"]["conditions"] if each["type"] == "Failed"]
    assert (reason, failed["status"]["failed"]) == ("BackoffLimitExceeded", 2)


def test_each_pod_of_an_indexed_job_has_its_number(cluster: MemoryCluster, api: Api) -> None:
    cluster.run(*workloads())
    comes_to(cluster, api, api.create(job(completionMode="Indexed", completions=3, parallelism=2)), "Complete")
    index = "batch.kubernetes.io/job-completion-index"
    found = sorted((each["metadata"]["annotations"][index], each["spec"]["hostname"]) for each in pods(cluster))
    assert found == [("0", "task-0"), ("1", "task-1"), ("2", "task-2")]


def test_a_suspended_job_has_no_pods_until_it_is_resumed(cluster: MemoryCluster, api: Api) -> None:
    cluster.run(*workloads())
    made = comes_to(cluster, api, api.create(job(suspend=True)), "Suspended")
    assert pods(cluster) == []
    api.patch(made, {"spec": {"suspend": False}})
    comes_to(cluster, api, made, "Complete")


def test_a_job_set_ends_with_its_jobs(cluster: MemoryCluster, api: Api) -> None:
    cluster.run(*workloads(), JobSets())
    comes_to(cluster, api, api.create(job_set()), "Completed")
    found = pods(cluster, "jobset.sigs.k8s.io/jobset-name=gang")
    assert sorted(each["spec"]["hostname"] for each in found) == ["gang-workers-0-0", "gang-workers-0-1"]
    assert {each["spec"]["subdomain"] for each in found} == {"gang"}
    assert api.get("v1", "Service", "gang", PLACE)["spec"]["clusterIP"] == "None"


def test_a_job_set_starts_anew_as_a_whole(cluster: MemoryCluster, api: Api) -> None:
    def program(running: Running) -> Ended:
        first = running.pod["metadata"]["labels"]["jobset.sigs.k8s.io/restart-attempt"] == "0"
        return Ended(code=1 if first else 0)

    cluster.run(*workloads(program), JobSets())
    done = comes_to(cluster, api, api.create(job_set(restarts=1)), "Completed")
    assert done["status"]["restarts"] == 1


def test_a_job_set_without_restarts_left_fails(cluster: MemoryCluster, api: Api) -> None:
    cluster.run(*workloads(lambda _: Ended(code=1)), JobSets())
    failed = comes_to(cluster, api, api.create(job_set(restarts=1)), "Failed")
    assert failed["status"]["restarts"] == 1


def test_a_deployment_gets_ready_and_follows_its_template(cluster: MemoryCluster, api: Api) -> None:
    cluster.run(*workloads())
    wanted = deployment("web")
    wanted["metadata"]["namespace"] = PLACE
    wanted["spec"]["replicas"] = 2
    api.apply(wanted)
    assert cluster.wait_for(lambda: _rolled_out(api))
    before = {each["metadata"]["name"] for each in pods(cluster)}
    wanted["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example/none:2"
    api.apply(wanted)
    assert cluster.wait_for(lambda: _rolled_out(api) and len(pods(cluster)) == 2)
    after = pods(cluster)
    assert before.isdisjoint(each["metadata"]["name"] for each in after)
    assert {each["spec"]["containers"][0]["image"] for each in after} == {"registry.example/none:2"}
    api.delete("apps/v1", "Deployment", "web", PLACE)
    assert cluster.wait_for(lambda: pods(cluster) == [])


def _rolled_out(api: Api) -> bool:
    found = api.get("apps/v1", "Deployment", "web", PLACE)
    status = found.get("status", {})
    current = status.get("observedGeneration") == found["metadata"]["generation"]
    return bool(current and status.get("updatedReplicas") == 2 == status.get("availableReplicas"))


def test_a_pod_that_no_node_takes_says_why(cluster: MemoryCluster, api: Api) -> None:
    cluster.add_node("node-2", cpu="64", taints=[{"key": "special", "effect": "NoSchedule"}])
    cluster.run(*workloads())
    big = pod("big")
    big["metadata"]["namespace"] = PLACE
    del big["spec"]["schedulerName"]
    big["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "9"}}
    api.create(big)

    def told() -> list[str]:
        conditions = api.get("v1", "Pod", "big", PLACE)["status"].get("conditions", [])
        return [each["message"] for each in conditions if each["type"] == "PodScheduled"]

    assert cluster.wait_for(told)
    assert told() == ["0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s)."]
    cluster.add_node("node-3", cpu="16")
    assert cluster.wait_for(lambda: api.get("v1", "Pod", "big", PLACE)["spec"].get("nodeName") == "node-3")


def test_a_container_that_does_not_start_says_why(cluster: MemoryCluster, api: Api) -> None:
    cluster.run(*workloads(lambda _: ContainerWaiting(reason="ErrImagePull", message="no such image")))
    api.create(job())

    def waiting() -> list[Manifest]:
        statuses = [each["status"].get("containerStatuses", []) for each in pods(cluster)]
        return [each[0]["state"]["waiting"] for each in statuses if each and "waiting" in each[0]["state"]]

    assert cluster.wait_for(waiting)
    assert waiting() == [{"reason": "ErrImagePull", "message": "no such image"}]


def test_a_container_that_fails_again_and_again_is_left_alone(cluster: MemoryCluster, api: Api) -> None:
    cluster.run(*workloads(lambda running: Ended(code=1, message=f"attempt {running.restarts}")))
    made = job()
    made["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    api.create(made)

    def crashing() -> bool:
        statuses = [each["status"].get("containerStatuses", []) for each in pods(cluster)]
        return any(
            each and each[0]["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff" for each in statuses
        )

    assert cluster.wait_for(crashing)
    (found,) = pods(cluster)
    (status,) = found["status"]["containerStatuses"]
    assert (status["restartCount"], status["lastState"]["terminated"]["message"]) == (3, "attempt 3")


def test_a_pod_that_is_deleted_is_told_to_stop(cluster: MemoryCluster, api: Api) -> None:
    stopped: list[str] = []

    def program(running: Running) -> Ended:
        running.stopped.wait(10)
        stopped.append(running.name)
        return Ended(code=143)

    cluster.run(*workloads(program))
    server = pod("server")
    server["metadata"]["namespace"] = PLACE
    del server["spec"]["schedulerName"]
    api.create(server)
    assert cluster.wait_for(lambda: has_condition(api.get("v1", "Pod", "server", PLACE), "Ready"))
    api.delete("v1", "Pod", "server", PLACE)
    assert cluster.wait_for(lambda: api.find("v1", "Pod", "server", PLACE) is None)
    assert stopped == ["server"]


def test_gateways_and_routes_of_a_class_are_programmed(cluster: MemoryCluster, api: Api) -> None:
    cluster.run(Gateways())
    route = {"parentRefs": [{"name": "front"}], "rules": []}
    api.create(
        {"apiVersion": GATEWAY, "kind": "HTTPRoute", "metadata": {"name": "r", "namespace": PLACE}, "spec": route}
    )
    listeners = [{"name": "http", "port": 80, "protocol": "HTTP"}]
    spec = {"gatewayClassName": "memory", "listeners": listeners}
    metadata = {"name": "front", "namespace": PLACE}
    gateway = api.create({"apiVersion": GATEWAY, "kind": "Gateway", "metadata": metadata, "spec": spec})
    assert not has_condition(gateway, "Programmed")
    kind = {"apiVersion": GATEWAY, "kind": "GatewayClass", "metadata": {"name": "memory"}}
    api.create({**kind, "spec": {"controllerName": "plimsoll.dev/memory"}})
    found = comes_to(cluster, api, gateway, "Programmed")
    assert found["status"]["addresses"] == [{"type": "IPAddress", "value": "127.0.0.1"}]

    def parents() -> list[Manifest]:
        return list(api.get(GATEWAY, "HTTPRoute", "r", PLACE).get("status", {}).get("parents", []))

    assert cluster.wait_for(parents)
    assert {each["type"] for each in parents()[0]["conditions"]} == {"Accepted", "ResolvedRefs"}


def test_a_queue_holds_a_workload_until_it_admits_it(cluster: MemoryCluster, api: Api) -> None:
    cluster.mutate(suspend_queued)
    cluster.run(*workloads(), Queues())
    queued = job()
    queued["metadata"]["labels"] = QUEUED
    made = comes_to(cluster, api, api.create(queued), "Suspended")
    assert made["spec"]["suspend"] is True
    api.create({"apiVersion": KUEUE, "kind": "ClusterQueue", "metadata": {"name": "all"}, "spec": {}})
    queue = {"apiVersion": KUEUE, "kind": "LocalQueue", "metadata": {"name": "queue", "namespace": PLACE}}
    api.create({**queue, "spec": {"clusterQueue": "all"}})
    comes_to(cluster, api, made, "Complete")


def test_a_queue_that_refuses_keeps_a_workload_suspended(cluster: MemoryCluster, api: Api) -> None:
    asked: list[str] = []

    def refuse(workload: Manifest) -> bool:
        asked.append(workload["metadata"]["name"])
        return False

    cluster.mutate(suspend_queued)
    cluster.run(*workloads(), Queues(refuse))
    api.create({"apiVersion": KUEUE, "kind": "ClusterQueue", "metadata": {"name": "all"}, "spec": {}})
    queue = {"apiVersion": KUEUE, "kind": "LocalQueue", "metadata": {"name": "queue", "namespace": PLACE}}
    api.create({**queue, "spec": {"clusterQueue": "all"}})
    queued = job()
    queued["metadata"]["labels"] = QUEUED
    api.create(queued)
    assert cluster.wait_for(lambda: "task" in asked)
    assert pods(cluster) == []


def test_a_job_that_a_quota_holds_back_says_so_in_an_event(cluster: MemoryCluster, api: Api) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none", "namespace": PLACE}}
    api.create({**quota, "spec": {"hard": {"pods": "0"}}})
    cluster.run(*workloads())
    api.create(job())
    assert cluster.wait_for(lambda: cluster.list("v1", "Event", PLACE))
    (event, *_) = cluster.list("v1", "Event", PLACE)
    assert (event["reason"], event["involvedObject"]["name"]) == ("FailedCreate", "task")
    assert "exceeded quota: none" in event["message"]


def test_a_deployment_whose_pods_a_quota_refuses_says_so_in_a_condition(cluster: MemoryCluster, api: Api) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none", "namespace": PLACE}}
    api.create({**quota, "spec": {"hard": {"pods": "0"}}})
    cluster.run(*workloads())
    made = deployment("web", container())
    made["metadata"]["namespace"] = PLACE
    made["spec"]["replicas"] = 1
    found = comes_to(cluster, api, api.create(made), "ReplicaFailure")
    (failure,) = [each for each in found["status"]["conditions"] if each["type"] == "ReplicaFailure"]
    assert "exceeded quota: none" in failure["message"]


def test_a_container_beside_the_one_that_ends_goes_on_until_the_pod_is_told_to_stop(
    cluster: MemoryCluster, api: Api
) -> None:
    cluster.run(*workloads(lambda _: Ended(code=0, beside=("proxy",))))
    made = pod("one", namespace=PLACE)
    made["spec"].pop("schedulerName", None)
    made["spec"] |= {"restartPolicy": "Never", "containers": [container(), container("proxy")]}
    api.create(made)

    def states() -> list[str]:
        statuses = pods(cluster)[0].get("status", {}).get("containerStatuses", [])
        return [next(iter(each["state"])) for each in statuses]

    assert cluster.wait_for(lambda: states() == ["terminated", "running"])
    assert pods(cluster)[0]["status"]["phase"] == "Running"
    api.delete("v1", "Pod", "one", PLACE)
    assert cluster.wait_for(lambda: not pods(cluster))


def test_a_defect_in_a_program_is_the_tests_own() -> None:
    def broken(_: Running) -> Ended:
        raise ZeroDivisionError("in the program")

    with pytest.raises(ZeroDivisionError, match="in the program"), MemoryCluster() as cluster:
        cluster.add_node("node-1")
        cluster.run(*workloads(broken))
        bare = pod("bare")
        bare["metadata"]["namespace"] = PLACE
        cluster.put({**bare, "spec": {**bare["spec"], "nodeName": "node-1", "restartPolicy": "Never"}})
        cluster.wait_for(lambda: False, seconds=5)
