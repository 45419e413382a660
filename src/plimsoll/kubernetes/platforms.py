"""Whose Kubernetes a cluster is, as far as its version and its nodes tell, and which nodes may be taken away. Pure.

Sources: the labels that these platforms document for nodes, and the suffixes of their versions. docs/platforms.md has
what else differs.
"""

from __future__ import annotations

from msgspec import Struct

from plimsoll.kubernetes.cluster import Cluster, Node


class Platform(Struct, frozen=True, kw_only=True):
    """A way in which Kubernetes comes.

    It is known by a part of the version, or by labels that begin so. `spot` are labels with the value that says that a
    node may be taken away within minutes.
    """

    name: str
    title: str
    version: str = ""
    labels: tuple[str, ...] = ()
    spot: tuple[tuple[str, str], ...] = ()

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
        spot=(("eks.amazonaws.com/capacityType", "spot"),),
    ),
    Platform(
        name="gke",
        title="Google Kubernetes Engine",
        version="-gke.",
        labels=("cloud.google.com/gke-",),
        spot=(("cloud.google.com/gke-spot", "true"), ("cloud.google.com/gke-preemptible", "true")),
    ),
    Platform(
        name="aks",
        title="Azure Kubernetes Service",
        labels=("kubernetes.azure.com/",),
        spot=(("kubernetes.azure.com/scalesetpriority", "spot"),),
    ),
    Platform(name="openshift", title="OpenShift", labels=("node.openshift.io/",)),
    Platform(name="rke2", title="RKE2", version="+rke2"),
    Platform(name="k3s", title="K3s", version="+k3s", labels=("k3s.io/",)),
    Platform(name="microk8s", title="MicroK8s", labels=("microk8s.io/",)),
    Platform(name="kind", title="kind", labels=("io.x-k8s.kind/",)),
)
"""The first that fits is named."""
_SPOT = (*(each for platform in PLATFORMS for each in platform.spot), ("karpenter.sh/capacity-type", "spot"))
"""Karpenter is on several platforms, and on others."""
_EDGE = "node-role.kubernetes.io/edge"


def platform_note(cluster: Cluster) -> str:
    """What a plan says: the platform, nodes that may go, and nodes of KubeEdge; empty where nothing is known."""
    found = next((each for each in PLATFORMS if each.is_of(cluster)), None)
    going = [node for node in cluster.nodes if _may_go(node)]
    edge = [node for node in cluster.nodes if _EDGE in node.labels and "kubeedge" in node.kubelet]
    notes = [f"{found.name}: {found.title}"] if found else []
    if going:
        notes.append(f"{len(going)} of {len(cluster.nodes)} nodes may be taken away at any time: give gangs `retries`")
    if edge:
        notes.append(f"{len(edge)} of {len(cluster.nodes)} nodes are KubeEdge's, which pods may lose their link to")
    return "; ".join(notes)


def _may_go(node: Node) -> bool:
    """Whether the node may be taken away within minutes."""
    return any(node.labels.get(label, "").lower() == value for label, value in _SPOT)
