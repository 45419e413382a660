"""Pods of a step with `isolation: strict`: a kernel of their own where the cluster has that, and no network but theirs.

Every pod of Plimsoll is under the restricted Pod Security level already, without a token of the cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from plimsoll.application.isolation import Isolation
from plimsoll.application.scalars import memory_in_bytes
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import Cluster
from plimsoll.planning.capacity import Shortfall
from plimsoll.planning.facts import IsolationFacts
from plimsoll.planning.steps import AnyStep, Plan
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.gang import Workload
from plimsoll.targets.kubernetes.manifests.policies import common_egress, outside, policy
from plimsoll.targets.kubernetes.manifests.runtimes import runtime_class, runtime_of, strict

RUNTIME_CLASSES = "runtimeclasses"


def isolated_pod(pod: Manifest, step: AnyStep, cluster: Cluster) -> Manifest:
    """The pod with its root read-only, bounded room for temporary files, and its RuntimeClass."""
    asked = strict(step.isolation)
    if asked is None:
        return pod
    spec: dict[str, Any] = {**pod["spec"], **runtime_of(asked, cluster)}
    spec["containers"] = [_read_only(each) for each in spec["containers"]]
    room = {"emptyDir": {"sizeLimit": str(memory_in_bytes(asked.temporary))}}
    spec["volumes"] = [{**each, **room} if each["name"] == "tmp" else each for each in spec.get("volumes", [])]
    return {**pod, "spec": spec}


def _read_only(container: Manifest) -> Manifest:
    security = {**container.get("securityContext", {}), "readOnlyRootFilesystem": True}
    # A home directory that cannot be written is what many libraries fail with.
    home = {"name": "HOME", "value": "/tmp"}  # noqa: S108 - in a container
    return {**container, "securityContext": security, "env": [*container.get("env", []), home]}


def isolated_workload(made: Workload, name: str, labels: dict[str, str], step: AnyStep, cluster: Cluster) -> Workload:
    """The workload with a policy: its pods reach each other, names and the registry, and else what the file lets in."""
    asked = strict(step.isolation)
    if asked is None:
        return made
    own = {"matchLabels": {key: labels[key] for key in (names.APPLICATION, names.KEY)}}
    peers: list[Manifest] = [{"podSelector": own}] if step.workers > 1 else []
    spec = {
        "podSelector": own,
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": peers}] if peers else [],
        "egress": [
            *common_egress(cluster),
            *([{"to": peers}] if peers else []),
            *([outside()] if asked.network else []),
        ],
    }
    return Workload(objects=(policy(name, labels, spec), *made.objects), watched=made.watched, restarts=made.restarts)


def missing_classes(plan: Plan, cluster: Cluster) -> Iterator[Shortfall]:
    """RuntimeClasses that the file names and the cluster does not have: it would refuse each pod."""
    if RUNTIME_CLASSES in cluster.unseen:
        return
    for step in plan.steps:
        asked = strict(step.isolation)
        if asked is None or asked.runtime_class is None or asked.runtime_class in cluster.runtime_classes:
            continue
        known = ", ".join(sorted(cluster.runtime_classes))
        message = f"{step.name} asks for the RuntimeClass {asked.runtime_class}, which {cluster.target} does not have"
        remedy = f"name one of {known}" if known else "have it installed, or remove `runtimeClass`"
        yield Shortfall(step=step.name, setting=("isolation", "runtimeClass"), message=message, remedy=remedy)


def isolation_facts(cluster: Cluster) -> IsolationFacts:
    """What isolates steps on this cluster."""
    found = runtime_class(Isolation(), cluster)
    none = "the kernel of its node, as no RuntimeClass of gVisor or Kata is there"
    kernel = f"RuntimeClass {found}" if found is not None else none
    by = "pods under the restricted level"
    return IsolationFacts(by=by, strict_by=f"{by}, a NetworkPolicy and {kernel}", always=True)
