"""Kueue: workloads that name a queue wait suspended until it admits them. Source: the API kueue.x-k8s.io/v1beta1."""

from __future__ import annotations

from collections.abc import Callable

from plimsoll.kubernetes.cluster import JOBSET, KUEUE
from plimsoll.kubernetes.memory.admission import Admission
from plimsoll.kubernetes.memory.controllers.loop import World
from plimsoll.kubernetes.memory.controllers.owning import condition, is_true, with_conditions
from plimsoll.kubernetes.memory.hand import Hand
from plimsoll.kubernetes.memory.refusals import Manifest

QUEUE = "kueue.x-k8s.io/queue-name"
_GROUP = "kueue.x-k8s.io"


def suspend_queued(asked: Admission) -> Manifest | None:
    """A mutating hook: a new Job or JobSet that names a queue begins suspended."""
    found = asked.object
    if asked.verb != "create" or asked.kind.plural not in ("jobs", "jobsets") or found is None:
        return None
    if QUEUE in (found["metadata"].get("labels") or {}):
        found["spec"]["suspend"] = True
    return found


def everything(_: Manifest) -> bool:
    """The decision of a queue that takes whatever comes."""
    return True


class Queues:
    """Admits workloads of queues that are there; `admits` decides about each, again after every change of a queue."""

    kinds = frozenset(
        {(_GROUP, "localqueues"), (_GROUP, "clusterqueues"), ("batch", "jobs"), ("jobset.x-k8s.io", "jobsets")}
    )

    def __init__(self, admits: Callable[[Manifest], bool] = everything) -> None:
        self._admits = admits

    def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
        """See to a queue and what waits in it, or to one workload."""
        hand = world.hand
        if found["kind"] in ("Job", "JobSet"):
            if not gone:
                self._admit(hand, found)
            return
        if not gone:
            fresh = condition("Active", reason="Ready", message="Can admit new workloads")
            hand.set_status(found, {"conditions": with_conditions(found, fresh)})
        for api_version, kind in (("batch/v1", "Job"), (JOBSET, "JobSet")):
            for each in hand.list(api_version, kind) if hand.serves(api_version, kind) else ():
                self._admit(hand, each)

    def _admit(self, hand: Hand, workload: Manifest) -> None:
        name = (workload["metadata"].get("labels") or {}).get(QUEUE)
        if not name or not workload["spec"].get("suspend") or is_true(workload, "Complete"):
            return
        queue = hand.find(KUEUE, "LocalQueue", name, workload["metadata"]["namespace"])
        if queue is None or hand.find(KUEUE, "ClusterQueue", queue["spec"]["clusterQueue"]) is None:
            return
        if self._admits(workload):
            hand.change(workload, lambda live: live["spec"].update(suspend=False))
