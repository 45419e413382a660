"""Whose Kubernetes a cluster is, as far as its version and its nodes tell, and what concerns pods there. Pure.

Sources: the labels, taints and annotations that these platforms document, and the suffixes of their versions.
docs/platforms.md has what else differs.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from plimsoll.kubernetes.cluster import Cluster, Node


class Platform(Struct, frozen=True, kw_only=True):
    """A way in which Kubernetes comes.

    It is known by a part of the version, or by labels that begin so. `spot` are labels with the value that says that a
    node may be taken away within minutes, `spot_taints` what such nodes keep pods away with. `identity` is the
    annotation of a ServiceAccount by which its pods are somebody to the cloud, `pod_labels` are what such pods have
    beside it. `grows` says that its nodes come and go with the pods that want them.
    """

    name: str
    title: str
    version: str = ""
    labels: tuple[str, ...] = ()
    spot: tuple[tuple[str, str], ...] = ()
    spot_taints: tuple[tuple[str, str], ...] = ()
    identity: str = ""
    pod_labels: Mapping[str, str] = {}
    grows: bool = False

    def is_of(self, cluster: Cluster) -> bool:
        """Whether the cluster is one of these."""
        if self.version and self.version in cluster.version:
            return True
        return any(label.startswith(self.labels) for node in cluster.nodes for label in node.labels if self.labels)


PLATFORMS = (
    Platform(
        name="eks",
        title="Amazon EKS",
        version="-eks-",
        labels=("eks.amazonaws.com/",),
        spot=(("eks.amazonaws.com/capacityType", "SPOT"),),
        identity="eks.amazonaws.com/role-arn",
        grows=True,
    ),
    Platform(
        name="gke",
        title="Google Kubernetes Engine",
        version="-gke.",
        labels=("cloud.google.com/gke-",),
        spot=(("cloud.google.com/gke-spot", "true"), ("cloud.google.com/gke-preemptible", "true")),
        spot_taints=(("cloud.google.com/gke-spot", "true"),),
        identity="iam.gke.io/gcp-service-account",
        grows=True,
    ),
    Platform(
        name="aks",
        title="Azure Kubernetes Service",
        labels=("kubernetes.azure.com/",),
        spot=(("kubernetes.azure.com/scalesetpriority", "spot"),),
        spot_taints=(("kubernetes.azure.com/scalesetpriority", "spot"),),
        identity="azure.workload.identity/client-id",
        pod_labels={"azure.workload.identity/use": "true"},
        grows=True,
    ),
    Platform(name="openshift", title="OpenShift", labels=("node.openshift.io/",)),
    Platform(name="rke2", title="RKE2", version="+rke2"),
    Platform(name="k3s", title="K3s", version="+k3s", labels=("k3s.io/",)),
    Platform(name="microk8s", title="MicroK8s", labels=("microk8s.io/",)),
    Platform(name="kind", title="kind", labels=("io.x-k8s.kind/",)),
)
"""The first that fits is named."""
BY_NAME: Mapping[str, Platform] = {each.name: each for each in PLATFORMS}
_KARPENTER = ("karpenter.sh/capacity-type", "spot")
"""Karpenter is on several platforms, and on others."""
_EDGE = "node-role.kubernetes.io/edge"


def platform_of(cluster: Cluster) -> Platform | None:
    """The platform that the cluster is of; None where nothing tells."""
    return next((each for each in PLATFORMS if each.is_of(cluster)), None)


def spot_labels(cluster: Cluster) -> tuple[tuple[str, str], ...]:
    """Labels of nodes that may be taken away: those of the platform, or of all where none is known."""
    found = platform_of(cluster)
    own = found.spot if found is not None else tuple(each for platform in PLATFORMS for each in platform.spot)
    return (*own, _KARPENTER)


def spot_taints(cluster: Cluster) -> tuple[tuple[str, str], ...]:
    """Taints of such nodes, as pods tolerate them: those that the platform has, and its labels where set as taints."""
    found = platform_of(cluster)
    own = found.spot_taints if found is not None else tuple(each for known in PLATFORMS for each in known.spot_taints)
    return tuple(dict.fromkeys((*own, *spot_labels(cluster))))


def platform_note(cluster: Cluster) -> str:
    """What a plan says: the platform, nodes that may go, and nodes of KubeEdge; empty where nothing is known."""
    found = platform_of(cluster)
    going = [node for node in cluster.nodes if may_go(node)]
    edge = [node for node in cluster.nodes if _EDGE in node.labels and "kubeedge" in node.kubelet]
    notes = [f"{found.name}: {found.title}"] if found else []
    if going:
        notes.append(f"{len(going)} of {len(cluster.nodes)} nodes may be taken away at any time: give gangs `retries`")
    if edge:
        notes.append(f"{len(edge)} of {len(cluster.nodes)} nodes are KubeEdge's, which pods may lose their link to")
    return "; ".join(notes)


def may_go(node: Node) -> bool:
    """Whether the node may be taken away within minutes."""
    every = (*(each for platform in PLATFORMS for each in platform.spot), _KARPENTER)
    return any(node.labels.get(label, "").lower() == value.lower() for label, value in every)
