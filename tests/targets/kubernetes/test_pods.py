"""Sentences about pods, from what Kubernetes says of them."""

from __future__ import annotations

from typing import Any

from plimsoll.targets.kubernetes.pods import standing, summary, unscheduled


def pod(phase: str, rank: int = 0, **status: Any) -> dict[str, Any]:
    metadata = {"name": f"gang-{rank}", "labels": {"batch.kubernetes.io/job-completion-index": str(rank)}}
    return {"metadata": metadata, "spec": {"nodeName": "node-1"}, "status": {"phase": phase, **status}}


def unplaced(message: str, rank: int = 0) -> dict[str, Any]:
    return pod("Pending", rank, conditions=[{"type": "PodScheduled", "status": "False", "message": message}])


def ended(**terminated: Any) -> dict[str, Any]:
    return pod("Failed", containerStatuses=[{"name": "main", "state": {"terminated": terminated}}])


def test_a_gang_that_waits_for_accelerators_says_how_many_workers_wait_and_for_what() -> None:
    message = "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient plimsoll.dev/accelerator. preemption: 0/3 ..."
    standings = [standing(unplaced(message, rank)) for rank in range(3)] + [standing(pod("Running", 3))]
    assert summary(standings, 4) == ("3 of 4 workers wait: no node of 3 has enough free: plimsoll.dev/accelerator on 2")


def test_a_pod_that_no_node_takes_for_other_reasons_says_the_schedulers() -> None:
    message = "0/2 nodes are available: 2 node(s) didn't match pod affinity rules. preemption: 0/2 nodes are available"
    assert unscheduled(message) == "none of 2 nodes takes it: 2 node(s) didn't match pod affinity rules"


def test_a_gang_without_pods_yet_says_so() -> None:
    assert summary([], 2) == "2 of 2 workers have no pod yet"
    assert summary([], 1) == ""
    assert summary([standing(pod("Running"))], 1) == ""


def test_an_image_that_cannot_be_pulled_is_named_and_may_still_come() -> None:
    waiting = {"reason": "ImagePullBackOff", "message": "not found"}
    found = standing(
        pod("Pending", containerStatuses=[{"name": "main", "image": "a/b:1", "state": {"waiting": waiting}}])
    )
    assert found.problem == "the image a/b:1 cannot be pulled: not found"
    assert not found.hopeless


def test_a_container_that_cannot_be_configured_is_hopeless() -> None:
    waiting = {"reason": "CreateContainerConfigError", "message": 'configmap "x-trust" not found'}
    found = standing(pod("Pending", containerStatuses=[{"name": "main", "state": {"waiting": waiting}}]))
    assert found.problem == 'the container cannot be configured: configmap "x-trust" not found'
    assert found.hopeless


def test_a_failed_pod_tells_its_own_reason_before_its_status() -> None:
    assert standing(ended(exitCode=1, message='{"reason":"the input x is not in the registry"}')).problem == (
        "the input x is not in the registry"
    )
    assert standing(ended(exitCode=3, message="line\nValueError: no rows\n")).problem == (
        "ended with status 3: ValueError: no rows"
    )
    assert standing(ended(exitCode=3)).problem == "ended with status 3"
    assert standing(ended(exitCode=137, reason="OOMKilled")).problem == "it used more than its memory and was killed"


def test_an_evicted_pod_tells_the_kubelets_reason() -> None:
    found = standing(pod("Failed", reason="Evicted", message="The node was low on resource: memory."))
    assert found.problem == "Evicted: The node was low on resource: memory."
