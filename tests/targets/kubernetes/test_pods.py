"""Sentences about pods, from what Kubernetes says of them."""

from __future__ import annotations

from typing import Any

from plimsoll.targets.kubernetes.pods import standing, summary

SPEC = {"nodeName": "node-1", "containers": [{"name": "main", "image": "a/b:1"}]}


def pod(phase: str, rank: int = 0, *, metadata: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    own = {"name": f"gang-{rank}", "labels": {"batch.kubernetes.io/job-completion-index": str(rank)}}
    return {"metadata": own | (metadata or {}), "spec": SPEC, "status": {"phase": phase, **status}}


def unplaced(message: str, rank: int = 0) -> dict[str, Any]:
    return pod("Pending", rank, conditions=[{"type": "PodScheduled", "status": "False", "message": message}])


def kept_waiting(reason: str, message: str = "") -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return pod("Pending", containerStatuses=[{"name": "main", "image": "a/b:1", "state": state}])


def test_a_gang_that_waits_for_accelerators_says_how_many_workers_wait_and_for_what() -> None:
    message = (
        "0/3 nodes are available: 1 node(s) had untolerated taint {gpu: yes}, 2 Insufficient x.dev/gpu. preemption: …"
    )
    standings = [standing(unplaced(message, rank)) for rank in range(3)] + [standing(pod("Running", 3))]
    assert summary(standings, 4) == (
        "3 of 4 workers wait: no node of 3 has enough free: x.dev/gpu on 2; 1 with the taint {gpu: yes}, which the pod "
        "does not tolerate; ask for less in `resources`, or add nodes"
    )


def test_a_gang_without_pods_yet_says_so() -> None:
    assert summary([], 2) == "2 of 2 workers have no pod yet"
    assert summary([], 1) == ""
    assert summary([standing(pod("Running"))], 1) == ""


def test_a_single_pod_that_waits_is_named() -> None:
    found = standing(kept_waiting("ImagePullBackOff", "connection refused"))
    assert summary([found], 1).startswith(
        "the pod gang-0 waits: the image a/b:1 cannot be pulled: its registry does not"
    )


def test_an_image_that_cannot_be_pulled_is_named_and_may_still_come() -> None:
    found = standing(kept_waiting("ImagePullBackOff", "not found"))
    assert found.problem == "the image a/b:1 cannot be pulled: its registry does not have it; correct it (not found)"
    assert not found.hopeless


def test_a_container_that_cannot_be_configured_is_hopeless() -> None:
    found = standing(kept_waiting("CreateContainerConfigError", 'configmap "x-trust" not found'))
    assert (
        found.problem == 'the container cannot be configured: configmap "x-trust" not found; make the configmap x-trust'
    )
    assert found.hopeless


def test_a_container_that_only_is_being_made_has_no_problem() -> None:
    assert standing(kept_waiting("ContainerCreating")).problem == ""


def test_a_server_whose_container_cannot_start_again_says_why_although_its_pod_once_ran() -> None:
    failing = {"name": "main", "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    failing["lastState"] = {"terminated": {"exitCode": 7}}
    found = standing(pod("Running", containerStatuses=[failing]))
    told = "the pod gang-0 waits: the container ended with status 7, 3 times, and is started again"
    assert summary([found], 1) == told
    assert not found.hopeless
    gone = {"name": "main", "image": "a/b:1", "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}
    assert "the image a/b:1 cannot be pulled" in summary([standing(pod("Running", containerStatuses=[gone]))], 1)


def beside(code: int | None, beside_state: dict[str, Any], phase: str = "Running") -> dict[str, Any]:
    """A pod into which somebody has put a container, before the one that does the work."""
    main = {"terminated": {"exitCode": code}} if code is not None else {"running": {}}
    found = pod(phase, containerStatuses=[{"name": "proxy", "state": beside_state}, {"name": "main", "state": main}])
    return {**found, "spec": {**SPEC, "containers": [{"name": "proxy"}, {"name": "main"}]}}


def test_a_pod_whose_work_has_ended_is_over_although_a_container_beside_it_goes_on() -> None:
    found = standing(beside(0, {"running": {}}))
    assert (found.phase, found.ended, found.code, found.lingering) == ("Succeeded", True, 0, ("proxy",))
    found = standing(beside(3, {"running": {}}))
    assert (found.phase, found.code, found.problem) == ("Failed", 3, "ended with status 3")


def test_a_pod_whose_work_goes_on_is_not_over_when_a_container_beside_it_ends() -> None:
    found = standing(beside(None, {"terminated": {"exitCode": 1}}))
    assert (found.phase, found.ended, found.lingering) == ("Running", False, ())


def test_a_container_beside_the_work_does_not_give_the_reason_of_its_end() -> None:
    assert standing(beside(3, {"terminated": {"exitCode": 137}}, "Failed")).problem == "ended with status 3"


def test_a_pod_that_is_being_ended_while_it_runs_says_by_whom() -> None:
    disrupted = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    found = standing(pod("Running", 1, metadata={"deletionTimestamp": "2026-01-01T00:00:30Z"}, conditions=[disrupted]))
    assert summary([found], 2) == (
        "worker 1: the pod gang-1 on node-1 was evicted by the eviction API, as `kubectl drain` and autoscalers do"
    )
