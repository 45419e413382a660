"""Each gang scheduler: its manifests of a gang, and where it reports why a gang waits. A new one is a class and a line.

Kueue and the native PodGroup are tested against the real schedulers. Volcano and coscheduling are not: their manifests
follow their documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.gang_scheduling.records import ADMISSION, PLACEMENT
from plimsoll.capabilities.probe import ClusterKind
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.capabilities.rights import MAKE, READ, Right
from plimsoll.kubernetes.api import ApiError, Manifest

GROUP_LABEL = "plimsoll.dev/gang"
KUEUE = "kueue.x-k8s.io/v1beta1"
NATIVE = "scheduling.k8s.io/v1beta1"
VOLCANO = "scheduling.volcano.sh/v1beta1"
COSCHEDULING = "scheduling.x-k8s.io/v1alpha1"

RIGHTS = (
    Right(group="batch", resources=("jobs",), verbs=MAKE),
    Right(group="scheduling.k8s.io", resources=("podgroups",), verbs=("get", *MAKE)),
    Right(group="scheduling.x-k8s.io", resources=("podgroups",), verbs=("get", *MAKE)),
    Right(group="scheduling.volcano.sh", resources=("podgroups",), verbs=("get", *MAKE)),
    Right(group="kueue.x-k8s.io", resources=("clusterqueues", "resourceflavors"), verbs=(*READ, *MAKE)),
    Right(group="kueue.x-k8s.io", resources=("localqueues",), verbs=MAKE),
    Right(group="kueue.x-k8s.io", resources=("workloads",), verbs=READ),
)
CLUSTER_KINDS = (
    ClusterKind(api_version=KUEUE, kind="ClusterQueue"),
    ClusterKind(api_version=KUEUE, kind="ResourceFlavor"),
)
"""Kinds without a namespace that `Kueue.prepare` creates; a flavor can be deleted once no queue names it."""


class Scheduler(Protocol):
    """A scheduler that starts gangs whole, `by` admission to a quota or by placement on nodes."""

    name: str
    by: str

    def prepare(self, ns: ProbeNamespace, capacity: int) -> None:
        """Create what a gang needs; `capacity` is in thousandths of a processor."""

    def gang(self, ns: ProbeNamespace, name: str, count: int, pod: Manifest) -> list[Manifest]:
        """The manifests of a gang of `count` such pods."""

    def reason(self, ns: ProbeNamespace, name: str) -> str:
        """Why a gang waits, in the scheduler's own words; empty when it reports nothing."""


class Kueue:
    """Kueue with a queue of the probe: it admits a suspended Job as a whole."""

    name = "Kueue"
    by = ADMISSION

    def prepare(self, ns: ProbeNamespace, capacity: int) -> None:
        """Create a flavor, a queue of that capacity, and a local queue in the namespace."""
        own = ns.name
        quota = {"name": own, "resources": [{"name": "cpu", "nominalQuota": f"{capacity}m"}]}
        groups = [{"coveredResources": ["cpu"], "flavors": [quota]}]
        chosen = {"matchLabels": {"kubernetes.io/metadata.name": own}}
        ns.apply({"apiVersion": KUEUE, "kind": "ResourceFlavor", "metadata": {"name": own}, "spec": {}})
        spec = {"namespaceSelector": chosen, "resourceGroups": groups}
        ns.apply({"apiVersion": KUEUE, "kind": "ClusterQueue", "metadata": {"name": own}, "spec": spec})
        queue = {"clusterQueue": own}
        ns.apply({"apiVersion": KUEUE, "kind": "LocalQueue", "metadata": {"name": "queue"}, "spec": queue})

    def gang(self, ns: ProbeNamespace, name: str, count: int, pod: Manifest) -> list[Manifest]:
        """One Job in the queue."""
        manifest = job(name, count, pod)
        manifest["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "queue"}
        manifest["spec"]["suspend"] = True
        return [manifest]

    def reason(self, ns: ProbeNamespace, name: str) -> str:
        """The condition QuotaReserved of the Job's Workload."""
        for workload in ns.list(KUEUE, "Workload"):
            owners = {each["name"] for each in workload["metadata"].get("ownerReferences", [])}
            if name in owners:
                return _condition(workload, "QuotaReserved", "False")
        return ""


class Native:
    """Kubernetes' own PodGroup (KEP-4671)."""

    name = "kube-scheduler (PodGroup)"
    by = PLACEMENT

    def prepare(self, ns: ProbeNamespace, capacity: int) -> None:
        """It needs nothing: it counts the capacity of the nodes."""

    def gang(self, ns: ProbeNamespace, name: str, count: int, pod: Manifest) -> list[Manifest]:
        """A PodGroup and its pods."""
        policy = {"gang": {"minCount": count}}
        group = {
            "apiVersion": NATIVE,
            "kind": "PodGroup",
            "metadata": {"name": name},
            "spec": {"schedulingPolicy": policy},
        }
        return [group, *pods(name, count, pod, {"schedulingGroup": {"podGroupName": name}})]

    def reason(self, ns: ProbeNamespace, name: str) -> str:
        """The first condition of the PodGroup that is False."""
        found = ns.get(NATIVE, "PodGroup", name)
        for each in found.get("status", {}).get("conditions", []):
            if each["status"] == "False":
                return f"{each.get('reason', '')}: {each.get('message', '')}"
        return ""


class Volcano:
    """Volcano's PodGroup."""

    name = "Volcano"
    by = PLACEMENT

    def prepare(self, ns: ProbeNamespace, capacity: int) -> None:
        """It needs nothing: its default queue has no limit."""

    def gang(self, ns: ProbeNamespace, name: str, count: int, pod: Manifest) -> list[Manifest]:
        """A PodGroup, and pods that name it and the scheduler."""
        group = {"apiVersion": VOLCANO, "kind": "PodGroup", "metadata": {"name": name}, "spec": {"minMember": count}}
        found = pods(name, count, pod, {"schedulerName": "volcano"})
        for each in found:
            each["metadata"]["annotations"] = {"scheduling.k8s.io/group-name": name}
        return [group, *found]

    def reason(self, ns: ProbeNamespace, name: str) -> str:
        """The condition Unschedulable of the PodGroup."""
        return _condition(ns.get(VOLCANO, "PodGroup", name), "Unschedulable", "True")


class Coscheduling:
    """The coscheduling plugin of scheduler-plugins, with the scheduler's name in its chart."""

    name = "coscheduling"
    by = PLACEMENT

    def prepare(self, ns: ProbeNamespace, capacity: int) -> None:
        """It needs nothing: it counts the capacity of the nodes."""

    def gang(self, ns: ProbeNamespace, name: str, count: int, pod: Manifest) -> list[Manifest]:
        """A PodGroup, and pods with its label."""
        spec = {"minMember": count, "scheduleTimeoutSeconds": 10}
        group = {"apiVersion": COSCHEDULING, "kind": "PodGroup", "metadata": {"name": name}, "spec": spec}
        found = pods(name, count, pod, {"schedulerName": "scheduler-plugins-scheduler"})
        for each in found:
            each["metadata"]["labels"]["scheduling.x-k8s.io/pod-group"] = name
        return [group, *found]

    def reason(self, ns: ProbeNamespace, name: str) -> str:
        """The PodGroup's phase."""
        phase = ns.get(COSCHEDULING, "PodGroup", name).get("status", {}).get("phase", "")
        return f"phase {phase}" if phase else ""


_ALL: Mapping[str, Scheduler] = {
    KUEUE: Kueue(),
    NATIVE: Native(),
    VOLCANO: Volcano(),
    COSCHEDULING: Coscheduling(),
}
"""Schedulers by the API version of their objects."""


def found(facts: ClusterFacts) -> list[Scheduler]:
    """The gang schedulers whose objects the cluster serves."""
    return [scheduler for api_version, scheduler in _ALL.items() if api_version in facts.served]


def job(name: str, count: int, pod: Manifest) -> Manifest:
    """A Job of `count` pods that run at the same time."""
    template = {"metadata": {"labels": {GROUP_LABEL: name}}, "spec": pod["spec"]}
    spec: Manifest = {"parallelism": count, "completions": count, "backoffLimit": 0, "template": template}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def pods(name: str, count: int, pod: Manifest, more: Manifest) -> list[Manifest]:
    """`count` pods without a controller."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"{name}-{number}", "labels": {GROUP_LABEL: name}},
            "spec": {**pod["spec"], **more},
        }
        for number in range(count)
    ]


def _condition(found: Manifest, kind: str, status: str) -> str:
    for each in found.get("status", {}).get("conditions", []):
        if each["type"] == kind and each["status"] == status:
            return f"{each.get('reason', '')}: {each.get('message', '')}"
    return ""


def remove(ns: ProbeNamespace, manifests: list[Manifest]) -> None:
    """Delete the objects of a gang."""
    for each in manifests:
        try:
            ns.api.delete(each["apiVersion"], each["kind"], each["metadata"]["name"], ns.name, grace=1)
        except ApiError as error:
            if error.status != 404:
                raise
