"""What queues, namespaces that end, and Deployments say of themselves."""

from __future__ import annotations

from typing import Any

from plimsoll.targets.kubernetes.reasons.removal import held_by, namespace_waits
from plimsoll.targets.kubernetes.reasons.workloads import past_deadline, queued, unmade

HELD = {"metadata": {"name": "gang", "labels": {"kueue.x-k8s.io/queue-name": "team"}}, "spec": {"suspend": True}}


def kueue(*conditions: dict[str, Any], owner: str = "gang", **status: Any) -> dict[str, Any]:
    metadata = {"name": "jobset-gang", "ownerReferences": [{"kind": "JobSet", "name": owner}]}
    return {"metadata": metadata, "status": {"conditions": list(conditions), **status}}


def test_a_queue_gives_its_own_reason() -> None:
    pending = {
        "type": "QuotaReserved",
        "status": "False",
        "reason": "Pending",
        "message": "couldn't assign flavors to pod set workers: insufficient unused quota for cpu, 1 more needed.",
    }
    assert queued(HELD, [kueue(pending)]) == (
        "the queue team has not admitted it yet: couldn't assign flavors to pod set workers: insufficient unused quota "
        "for cpu, 1 more needed"
    )
    assert queued(HELD, [kueue(pending, owner="other")]) == "the queue team has not admitted it yet"
    assert queued({"spec": {}}) == ""


def test_a_queue_that_takes_a_gang_back_says_why() -> None:
    evicted = {
        "type": "Evicted",
        "status": "True",
        "reason": "Preempted",
        "message": "Preempted to accommodate another",
    }
    reserved = {"type": "QuotaReserved", "status": "False", "reason": "Pending", "message": "Preempted"}
    assert queued(HELD, [kueue(evicted, reserved)]) == (
        "the queue team has taken it back, and admits it again later: Preempted to accommodate another"
    )


def test_a_queue_that_waits_for_its_checks_names_them() -> None:
    checks = [{"name": "budget", "state": "Pending"}, {"name": "licence", "state": "Ready"}]
    assert queued(HELD, [kueue(admissionChecks=checks)]) == "the queue team waits for its admission checks: budget"


def test_a_deadline_is_known_by_any_of_a_workloads_objects() -> None:
    target = {"type": "FailureTarget", "status": "True", "reason": "DeadlineExceeded"}
    assert past_deadline([{"status": {}}, {"status": {"conditions": [target]}}])
    assert not past_deadline([{"status": {"conditions": [{**target, "status": "False"}]}}])
    assert past_deadline([{"status": {"jobDeploymentStatus": "Failed", "reason": "DeadlineExceeded"}}])


def test_a_deployment_whose_pods_are_refused_says_why_without_any_event() -> None:
    message = 'pods "x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1'
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    metadata = {"name": "shop-api", "namespace": "shop"}
    cause = unmade({"metadata": metadata, "status": {"conditions": [condition]}}, ())
    assert cause is not None
    assert 'the quota "q" of namespace shop forbids pods of the Deployment shop-api' in cause.text
    assert unmade({"metadata": metadata, "status": {"conditions": [{**condition, "status": "False"}]}}, ()) is None


def test_an_object_that_does_not_end_says_what_holds_it() -> None:
    ending = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    held = {"metadata": {**ending, "finalizers": ["team.example/keep"]}}
    assert held_by(held) == "the finalizer team.example/keep, which its controller has to lift"
    pod = {"metadata": {**ending, "deletionGracePeriodSeconds": 30}, "spec": {"nodeName": "node-1"}}
    assert held_by(pod) == "its 30 s to end on node-1"
    assert held_by({"metadata": {}}) == "its deletion has not begun"


def test_a_namespace_says_what_it_waits_for() -> None:
    remaining = "Some resources are remaining: configmaps. has 1 resource instances"
    finalizers = "Some content in the namespace has finalizers remaining: team.example/keep in 1 resource instances"
    conditions = [
        {"type": "NamespaceContentRemaining", "status": "True", "message": remaining},
        {"type": "NamespaceFinalizersRemaining", "status": "True", "message": finalizers},
        {"type": "NamespaceDeletionContentFailure", "status": "False", "message": "All content deleted"},
    ]
    assert namespace_waits({"status": {"conditions": conditions}}) == (
        "some resources are remaining: configmaps. has 1 resource instances; finalizers are left: team.example/keep in 1 "
        "objects"
    )
    assert namespace_waits({"status": {}}) == ""
