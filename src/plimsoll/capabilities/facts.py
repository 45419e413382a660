"""The facts of a cluster, from the records of its inventory. Pure: a bundle gives the same facts as the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from plimsoll.capabilities.hardware import Hardware, extended_resources, hardware_of_driver, hardware_of_resource
from plimsoll.capabilities.inventory_records import (
    ClusterIdentity,
    DeviceClassFound,
    GatewayClassFound,
    InstalledWorkload,
    InventoryRecord,
    KubernetesVersion,
    MutatingWebhooks,
    NodeFound,
    NodePoolFound,
    PodCounts,
    PrometheusFound,
    RuntimeClassFound,
    ServedVersions,
    SliceFound,
    Unreadable,
    ValidatingWebhooks,
    WorkloadsFound,
)
from plimsoll.capabilities.records import MalformedRecord, decode
from plimsoll.evidence.observation import Observation
from plimsoll.kubernetes.quantities import number


class Accelerators(Struct, frozen=True, kw_only=True):
    """Accelerators of one node under one name: the resource of a device plugin, or a DRA driver."""

    node: str
    resource: str = ""
    driver: str = ""
    count: int
    hardware: Hardware | None = None


class ClusterFacts(Struct, frozen=True, kw_only=True):
    """A cluster: its version, nodes and accelerators, and the API groups and objects that it has.

    `served` has API groups with versions. `unreadable` names the parts of the inventory that could not be read.
    """

    version: str
    cluster: str
    served: frozenset[str]
    nodes: tuple[NodeFound, ...]
    accelerators: tuple[Accelerators, ...]
    device_classes: tuple[str, ...]
    slices: tuple[SliceFound, ...]
    gateway_classes: tuple[GatewayClassFound, ...]
    runtime_classes: tuple[RuntimeClassFound, ...]
    node_pools: tuple[NodePoolFound, ...]
    prometheuses: tuple[PrometheusFound, ...]
    webhooks: tuple[ValidatingWebhooks, ...]
    mutating: tuple[MutatingWebhooks, ...]
    workloads: tuple[InstalledWorkload, ...]
    unreadable: tuple[str, ...]
    pods: int = 0
    schedulers: Mapping[str, int] = {}
    held: Mapping[str, Mapping[str, int]] = {}

    def free(self, place: Accelerators) -> int:
        """How many of a node's accelerators of a device plugin no pod requested when the inventory was taken."""
        return place.count - self.held.get(place.node, {}).get(place.resource, 0)

    def ready_nodes(self) -> list[NodeFound]:
        """Nodes on which an ordinary pod can be placed."""
        return [
            node
            for node in self.nodes
            if node.ready and node.schedulable and not any(taint.keeps_pods_off for taint in node.taints)
        ]

    def serves(self, group: str) -> bool:
        """Whether any version of an API group is served."""
        return any(each.startswith(f"{group}/") for each in self.served)

    def by_plugin(self) -> list[Accelerators]:
        """Accelerators that a device plugin counts."""
        return [each for each in self.accelerators if each.resource]

    def by_claim(self) -> list[Accelerators]:
        """Accelerators that a DRA driver publishes."""
        return [each for each in self.accelerators if each.driver]


def cluster_facts(observations: Sequence[Observation]) -> ClusterFacts:
    """The facts of an inventory's observations. Raises MalformedRecord when one has not the fields of its event."""
    record = decode(observations, InventoryRecord)
    version, identity = record.first(KubernetesVersion), record.first(ClusterIdentity)
    served, workloads, pods = record.first(ServedVersions), record.first(WorkloadsFound), record.first(PodCounts)
    nodes, slices = tuple(record.all(NodeFound)), tuple(record.all(SliceFound))
    return ClusterFacts(
        version=version.git_version if version else "",
        cluster=identity.uid if identity else "",
        served=frozenset(served.versions if served else ()),
        nodes=nodes,
        accelerators=(*_of_plugins(nodes), *_of_drivers(slices)),
        slices=slices,
        device_classes=tuple(each.name for each in record.all(DeviceClassFound)),
        gateway_classes=tuple(record.all(GatewayClassFound)),
        runtime_classes=tuple(record.all(RuntimeClassFound)),
        node_pools=tuple(record.all(NodePoolFound)),
        prometheuses=tuple(record.all(PrometheusFound)),
        webhooks=tuple(record.all(ValidatingWebhooks)),
        mutating=tuple(record.all(MutatingWebhooks)),
        workloads=workloads.found if workloads else (),
        pods=pods.count if pods else 0,
        schedulers=pods.schedulers if pods else {},
        held=pods.held if pods else {},
        unreadable=tuple(each.what for each in record.all(Unreadable)),
    )


def _of_plugins(nodes: Sequence[NodeFound]) -> list[Accelerators]:
    found = []
    for node in nodes:
        for resource in extended_resources(node.allocatable):
            count = _count(node, resource)
            hardware = hardware_of_resource(resource)
            # An unknown extended resource may be a network card or a licence: only known ones count.
            if count > 0 and hardware is not None:
                found.append(Accelerators(node=node.name, resource=resource, count=count, hardware=hardware))
    return found


def _count(node: NodeFound, resource: str) -> int:
    quantity = node.allocatable[resource]
    try:
        return int(number(quantity))
    except ValueError as error:
        raise MalformedRecord(f"node {node.name} has the quantity '{quantity}' of {resource}") from error


def _of_drivers(slices: Sequence[SliceFound]) -> list[Accelerators]:
    bodies: dict[tuple[str, str], set[str]] = {}
    for each in slices:
        # Parts of a device share its counters: they are one device.
        bodies.setdefault((each.node, each.driver), set()).update(device.body for device in each.devices)
    return [
        Accelerators(node=node, driver=driver, count=len(names), hardware=hardware_of_driver(driver))
        for (node, driver), names in sorted(bodies.items())
        if names
    ]
