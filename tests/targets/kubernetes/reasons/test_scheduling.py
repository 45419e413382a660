"""Every part of the scheduler's message, in few words."""

from __future__ import annotations

import pytest

from plimsoll.targets.kubernetes.reasons.scheduling import leaves_taints_out, unscheduled

ROOM = "ask for less in `resources`, or add nodes"
FIT = "; have a node that fits, or made to fit"
PREEMPTION = "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."


def test_what_is_insufficient_is_told_with_the_taints_beside_it() -> None:
    message = (
        "0/5 nodes are available: 1 node(s) had untolerated taint {team: x, y}, 1 node(s) were unschedulable, "
        f"2 Insufficient cpu, 3 Insufficient nvidia.com/gpu. no new claims to deallocate, {PREEMPTION}"
    )
    assert unscheduled(message) == (
        "no node of 5 has enough free: cpu on 2, nvidia.com/gpu on 3; 1 with the taint {team: x, y}, which the pod does "
        f"not tolerate, 1 cordoned; {ROOM}"
    )


def test_a_taint_alone_is_named_with_its_value() -> None:
    message = "0/2 nodes are available: 2 node(s) had untolerated taint {dedicated: batch}. preemption: …"
    told = "none of 2 nodes takes it: 2 with the taint {dedicated: batch}, which the pod does not tolerate"
    told += FIT
    assert unscheduled(message) == told


def test_a_taint_that_the_scheduler_does_not_name_is_taken_from_the_nodes() -> None:
    message = "0/2 nodes are available: 2 node(s) had untolerated taint(s). preemption: …"
    assert "with a taint that the pod" in unscheduled(message)
    assert "{dedicated: batch} or {gpu}" in unscheduled(message, ["dedicated: batch", "gpu"])
    waiting = {"status": {"conditions": [{"type": "PodScheduled", "status": "False", "message": message}]}}
    assert leaves_taints_out(waiting)
    assert not leaves_taints_out({"status": {"conditions": []}})


def test_the_taints_that_kubernetes_sets_say_what_is_wrong_with_the_nodes() -> None:
    message = "0/2 nodes are available: 2 node(s) had untolerated taint {node.kubernetes.io/unreachable: }."
    assert unscheduled(message) == "none of 2 nodes takes it: 2 not answering" + FIT


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("1 Too many pods", "1 full of pods"),
        ("2 node(s) didn't match Pod's node affinity/selector", "2 without the labels that the pod asks for"),
        ("2 node(s) didn't match pod affinity rules", "2 away from the pods that it must be beside"),
        ("2 node(s) didn't match pod anti-affinity rules", "2 with pods that it must not be beside"),
        ("1 node(s) had volume node affinity conflict", "1 out of reach of its volume"),
        ("3 cannot allocate all claims", "3 without the devices that it claims"),
        ("1 node(s) had something that is new", "1 node(s) had something that is new"),
    ],
)
def test_each_part_of_the_message_is_told_shortly(part: str, told: str) -> None:
    assert unscheduled(f"0/3 nodes are available: {part}. {PREEMPTION}") == f"none of 3 nodes takes it: {told}{FIT}"


def test_a_claim_that_is_missing_or_has_no_volume_is_told_with_what_to_do() -> None:
    unbound = "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: …"
    assert "its PersistentVolumeClaim is not bound to a volume" in unscheduled(unbound)
    missing = 'persistentvolumeclaim "data" not found. not found'
    assert unscheduled(missing) == 'its PersistentVolumeClaim "data" does not exist; make it'


def test_a_pod_that_nobody_has_looked_at_and_a_cluster_without_nodes_are_told() -> None:
    assert unscheduled("") == "the scheduler has not looked at it yet"
    assert unscheduled("0/0 nodes are available: .") == "the cluster has no nodes; add one"
    gated = unscheduled("Scheduling is blocked due to non-empty scheduling gates", gates=["kueue.x-k8s.io/topology"])
    assert gated == "the scheduler leaves it until its gates are lifted: kueue.x-k8s.io/topology"
