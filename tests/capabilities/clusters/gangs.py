"""Gang schedulers for a cluster in memory: queues that admit whole Jobs, and groups of pods that are placed whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.memory.admission import Admission
from plimsoll.kubernetes.memory.controllers.loop import World
from plimsoll.kubernetes.memory.controllers.owning import condition, is_over, owner_reference, with_conditions
from plimsoll.kubernetes.memory.hand import Hand
from plimsoll.kubernetes.quantities import thousandths
from tests.capabilities.clusters.clock import LEASES
from tests.capabilities.clusters.scene import Scene

KUEUE = "kueue.x-k8s.io/v1beta1"
GANG = "plimsoll.dev/gang"
_OWN = "gangs-first"
Admits = Callable[[Manifest, bool], bool]
"""Whether a Job is admitted; is told whether it fits into its queue."""


def if_it_fits(_: Manifest, fits: bool) -> bool:
    """The decision of an honest queue."""
    return fits


def is_named(manifest: Manifest, word: str) -> bool:
    """Whether a gang is the one of a case."""
    return str(manifest["metadata"]["name"]).endswith(word)


class Kueue:
    """Admits suspended Jobs whole, by the quota of their queue, and reports in a Workload why one waits."""

    kinds = frozenset({("batch", "jobs"), LEASES})

    def __init__(self, admits: Admits = if_it_fits, *, silent: bool = False) -> None:
        self._admits = admits
        self._silent = silent

    def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
        hand = world.hand
        jobs = [each for each in hand.list("batch/v1", "Job") if hand.list(KUEUE, "ClusterQueue")]
        for each in jobs:
            if each["spec"].get("suspend"):
                self._decide(hand, each, jobs)

    def _decide(self, hand: Hand, job: Manifest, jobs: Sequence[Manifest]) -> None:
        (queue,) = hand.list(KUEUE, "ClusterQueue")
        quota = thousandths(queue["spec"]["resourceGroups"][0]["flavors"][0]["resources"][0]["nominalQuota"])
        used = sum(_wanted(each) for each in jobs if not each["spec"].get("suspend"))
        if self._admits(job, used + _wanted(job) <= quota):
            hand.change(job, lambda live: live["spec"].update(suspend=False))
        elif not self._silent:
            self._report(hand, job)

    def _report(self, hand: Hand, job: Manifest) -> None:
        name, namespace = f"job-{job['metadata']['name']}", job["metadata"]["namespace"]
        if hand.find(KUEUE, "Workload", name, namespace) is None:
            metadata = {"name": name, "namespace": namespace, "ownerReferences": [owner_reference(job)]}
            made = hand.create({"apiVersion": KUEUE, "kind": "Workload", "metadata": metadata, "spec": {}})
            why = condition("QuotaReserved", true=False, reason="Pending", message="insufficient unused quota for cpu")
            hand.set_status(made, {"conditions": with_conditions(made, why)})


class PlacingKueue(Kueue):
    """Admits a Job only when its node has room for all of its pods, as with placement that knows the topology."""

    def _decide(self, hand: Hand, job: Manifest, jobs: Sequence[Manifest]) -> None:
        node = job["spec"]["template"]["spec"]["nodeSelector"]["kubernetes.io/hostname"]
        if _wanted(job) <= _free(hand, node):
            super()._decide(hand, job, jobs)
        elif not self._silent:
            self._report(hand, job)


def _wanted(job: Manifest) -> int:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return int(job["spec"]["parallelism"]) * thousandths(container["resources"]["requests"]["cpu"])


class Groups:
    """Places the pods of a PodGroup when all of them fit on their node. Kinds differ in where a pod names its group."""

    kinds = frozenset({("", "pods"), LEASES})

    def __init__(
        self,
        api_version: str,
        group_of: Callable[[Manifest], str],
        least: Callable[[Manifest], int],
        bind: Callable[[Hand, Sequence[Manifest]], bool] | None = None,
    ) -> None:
        self.api_version = api_version
        self._group_of = group_of
        self._least = least
        self._bind = bind or _bind

    def counting_its_own(self) -> Groups:
        """The same scheduler, which admits a group by what its own groups hold, and then places pod by pod."""

        def bind(hand: Hand, pods: Sequence[Manifest]) -> bool:
            if sum(map(_requested, pods)) > _free(hand, _node_of(pods[0]), self._group_of):
                return False
            for each in pods:
                _bind(hand, [each])
            return True

        return Groups(self.api_version, self._group_of, self._least, bind)

    def keep(self, asked: Admission) -> Manifest | None:
        """A mutating hook: keeps pods of groups away from the scheduler of all others."""
        found = asked.object
        if asked.verb == "create" and asked.kind.plural == "pods" and found is not None and self._group_of(found):
            found["spec"]["schedulerName"] = _OWN
        return found

    def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
        for each in world.hand.list(self.api_version, "PodGroup"):
            self._place(world.hand, each)

    def _place(self, hand: Hand, group: Manifest) -> None:
        name, namespace = group["metadata"]["name"], group["metadata"]["namespace"]
        waiting = [
            each
            for each in hand.list("v1", "Pod", namespace)
            if self._group_of(each) == name and not each["spec"].get("nodeName")
        ]
        if waiting and len(waiting) >= self._least(group) and not self._bind(hand, waiting):
            told = condition("Scheduled", true=False, reason="Unschedulable", message="the group does not fit")
            against = condition("Unschedulable", reason="NotEnoughResources", message="the group does not fit")
            status = {"conditions": with_conditions(group, told, against), "phase": "Pending"}
            hand.set_status(group, status)


def _bind(hand: Hand, pods: Sequence[Manifest]) -> bool:
    """Put all pods on the node that they select; false, and no change, when it has no room for all."""
    node = _node_of(pods[0])
    if sum(map(_requested, pods)) > _free(hand, node):
        return False
    for each in pods:
        hand.change(each, lambda live: live["spec"].update(nodeName=node))
    return True


def _node_of(pod: Manifest) -> str:
    return str(pod["spec"]["nodeSelector"]["kubernetes.io/hostname"])


def _free(hand: Hand, node: str, counted: Callable[[Manifest], object] = bool) -> int:
    """The node's processor time, in thousandths, that no counted pod has requested."""
    found = hand.find("v1", "Node", node)
    assert found is not None
    return thousandths(found["status"]["allocatable"]["cpu"]) - sum(
        _requested(each)
        for each in hand.list("v1", "Pod")
        if each["spec"].get("nodeName") == node and not is_over(each) and counted(each)
    )


def _requested(pod: Manifest) -> int:
    asked = pod["spec"]["containers"][0].get("resources", {}).get("requests", {})
    return thousandths(asked.get("cpu", "0"))


class OneLetIn:
    """Has one pod of a gang run without asking the queue."""

    kinds = frozenset({("batch", "jobs")})

    def __init__(self, word: str = "-waits") -> None:
        self._word = word

    def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
        name, namespace = found["metadata"]["name"], found["metadata"]["namespace"]
        if gone or not is_named(found, self._word) or world.hand.find("v1", "Pod", f"{name}-0", namespace):
            return
        template = found["spec"]["template"]
        metadata = {"name": f"{name}-0", "namespace": namespace, "labels": {GANG: name}}
        spec = {**template["spec"], "containers": [{**template["spec"]["containers"][0], "resources": {}}]}
        world.hand.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def queues(scene: Scene, kueue: Kueue | None = None) -> None:
    """A node with eight processors, and Kueue."""
    scene.serve("kueue")
    scene.cluster.add_node("node-1", cpu="8")
    scene.run(kueue or Kueue())


def _native(pod: Manifest) -> str:
    return str((pod["spec"].get("schedulingGroup") or {}).get("podGroupName", ""))


def _volcano(pod: Manifest) -> str:
    return str((pod["metadata"].get("annotations") or {}).get("scheduling.k8s.io/group-name", ""))


def _coscheduling(pod: Manifest) -> str:
    return str((pod["metadata"].get("labels") or {}).get("scheduling.x-k8s.io/pod-group", ""))


GROUPS = {
    "native": Groups(
        "scheduling.k8s.io/v1beta1", _native, lambda group: int(group["spec"]["schedulingPolicy"]["gang"]["minCount"])
    ),
    "volcano": Groups("scheduling.volcano.sh/v1beta1", _volcano, lambda group: int(group["spec"]["minMember"])),
    "coscheduling": Groups(
        "scheduling.x-k8s.io/v1alpha1", _coscheduling, lambda group: int(group["spec"]["minMember"])
    ),
}
"""The schedulers that know gangs as PodGroups."""


def pod_groups(scene: Scene, groups: Groups, *, whole: bool = True) -> None:
    """A node with eight processors and PodGroups; when they are not placed `whole`, the scheduler ignores them."""
    scene.cluster.serve(groups.api_version, "PodGroup", "podgroups")
    scene.cluster.add_node("node-1", cpu="8")
    scene.cluster.mutate(groups.keep if whole else _to_the_default)
    if whole:
        scene.run(groups)


def _to_the_default(asked: Admission) -> Manifest | None:
    found = asked.object
    if asked.kind.plural == "pods" and found is not None and asked.verb == "create":
        found["spec"]["schedulerName"] = "default-scheduler"
    return found
