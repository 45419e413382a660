"""Accelerators by their names in a file: the resource that counts them, and labels of nodes that have them. Pure.

Sources: "Deploy TPU workloads in GKE" and "About GPUs in GKE" (labels), the values of gpu.product that NVIDIA's GPU
feature discovery sets, the names of machine types of EC2 and Azure, Karpenter's labels, the Neuron and EFA device
plugins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from plimsoll.kubernetes.cluster import Cluster, Node
from plimsoll.kubernetes.platforms import platform_of

GPU, TPU, NEURON = "nvidia.com/gpu", "google.com/tpu", "aws.amazon.com/neuron"
EFA = "vpc.amazonaws.com/efa"
"""The network devices by which nodes of EC2 reach each other past the kernel."""
TPU_KIND, TPU_TOPOLOGY = "cloud.google.com/gke-tpu-accelerator", "cloud.google.com/gke-tpu-topology"
_TYPE = "node.kubernetes.io/instance-type"
_PRODUCT = "nvidia.com/gpu.product"
_ANYWHERE = ""

TPUS_BY_SELECTOR = frozenset({"v5e", "v6e"})
"""Kinds whose nodes are asked for by a selector."""
Labelled = tuple[str, tuple[str, ...]]
"""A label and the values one of which it has."""


class Accelerator(Struct, frozen=True, kw_only=True):
    """One kind. `labels` are by platform; those of the empty name are on any. `efa` are devices of a whole node."""

    resource: str
    labels: Mapping[str, tuple[Labelled, ...]]
    efa: Mapping[int, int] = {}

    def on(self, platform: str | None) -> tuple[Labelled, ...]:
        """Labels one of which a node has: those of a platform, or of all where none is known."""
        if platform is not None:
            return (*self.labels.get(platform, ()), *self.labels.get(_ANYWHERE, ()))
        return tuple(each for labels in self.labels.values() for each in labels)


def _trainium(whole: tuple[str, ...], efa: int, small: tuple[str, ...] = ()) -> Accelerator:
    return Accelerator(resource=NEURON, labels={"eks": ((_TYPE, (*small, *whole)),)}, efa={16: efa})


def _gpu(products: tuple[str, ...], gke: tuple[str, ...], ec2: tuple[str, ...], azure: tuple[str, ...]) -> Accelerator:
    return Accelerator(
        resource=GPU,
        labels={
            _ANYWHERE: ((_PRODUCT, products),),
            "gke": (("cloud.google.com/gke-accelerator", gke),),
            "eks": ((_TYPE, ec2),),
            "aks": ((_TYPE, azure),),
        },
    )


ACCELERATORS_BY_NAME: Mapping[str, Accelerator] = {
    "h100": _gpu(
        ("NVIDIA-H100-80GB-HBM3", "NVIDIA-H100-PCIe", "NVIDIA-H100-NVL"),
        ("nvidia-h100-80gb", "nvidia-h100-mega-80gb"),
        ("p5.4xlarge", "p5.48xlarge"),
        ("Standard_ND96isr_H100_v5", "Standard_NC40ads_H100_v5", "Standard_NC80adis_H100_v5"),
    ),
    "h200": _gpu(
        ("NVIDIA-H200", "NVIDIA-H200-NVL"),
        ("nvidia-h200-141gb",),
        ("p5e.48xlarge", "p5en.48xlarge"),
        ("Standard_ND96isr_H200_v5",),
    ),
    "v5e": Accelerator(resource=TPU, labels={"gke": ((TPU_KIND, ("tpu-v5-lite-podslice",)),)}),
    "v6e": Accelerator(resource=TPU, labels={"gke": ((TPU_KIND, ("tpu-v6e-slice",)),)}),
    "trn1": _trainium(("trn1.32xlarge",), 8, ("trn1.2xlarge",)),
    "trn1n": _trainium(("trn1n.32xlarge",), 16),
    "trn2": _trainium(("trn2.48xlarge",), 16, ("trn2.3xlarge",)),
}


def resource_name(name: str, cluster: Cluster) -> str | None:
    """The resource under which accelerators are counted: of a kind, or of most there without a name."""
    return ACCELERATORS_BY_NAME[name].resource if name else cluster.accelerator


def platforms_with(name: str) -> tuple[str, ...]:
    """Platforms that have a kind of accelerator; a node with the label of any platform may be elsewhere too."""
    return tuple(platform for platform in ACCELERATORS_BY_NAME[name].labels if platform != _ANYWHERE)


def node_labels(name: str, topology: str, cluster: Cluster) -> tuple[tuple[Labelled, ...], ...]:
    """Labels of nodes with a kind of accelerator: one of the alternatives, all labels of it."""
    found = platform_of(cluster)
    slices: tuple[Labelled, ...] = ((TPU_TOPOLOGY, (topology,)),) if topology else ()
    return tuple((each, *slices) for each in ACCELERATORS_BY_NAME[name].on(found.name if found else None))


def nodes_with(name: str, topology: str, cluster: Cluster) -> tuple[Node, ...]:
    """The nodes that are there with a kind of accelerator."""
    return tuple(_matching(node_labels(name, topology, cluster), cluster))


def _matching(alternatives: tuple[tuple[Labelled, ...], ...], cluster: Cluster) -> Iterator[Node]:
    for node in cluster.nodes:
        if any(all(node.labels.get(label) in values for label, values in each) for each in alternatives):
            yield node


def efa_devices(name: str, accelerators: int, cluster: Cluster) -> int:
    """Network devices that a worker of a gang asks for, who has all accelerators of its node.

    As many as nodes of the kind have that are there; where none is, as the machine type has.
    """
    if not name:
        return 0
    kind = ACCELERATORS_BY_NAME[name]
    whole = [each for each in nodes_with(name, "", cluster) if each.extended.get(kind.resource) == accelerators]
    if whole:
        return min(each.extended.get(EFA, 0) for each in whole)
    return kind.efa.get(accelerators, 0)
