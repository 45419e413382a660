"""What an inventory comes to. Pure: the same observations give the same facts, with or without the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from plimsoll.capabilities.hardware import Hardware, extended, of_driver, of_resource
from plimsoll.evidence.observation import Observation


class Accelerators(Struct, frozen=True, kw_only=True):
    """Accelerators of one node under one name: a device plugin's resource, or a DRA driver."""

    node: str
    resource: str = ""
    driver: str = ""
    count: int
    hardware: Hardware | None = None


class ClusterFacts(Struct, frozen=True, kw_only=True):
    """A cluster: its version, nodes, accelerators, and what is served and installed in it."""

    version: str
    cluster: str
    served: frozenset[str]
    nodes: tuple[dict[str, Any], ...]
    accelerators: tuple[Accelerators, ...]
    device_classes: tuple[str, ...]
    slices: tuple[dict[str, Any], ...]
    gateway_classes: tuple[dict[str, Any], ...]
    runtime_classes: tuple[dict[str, Any], ...]
    node_pools: tuple[dict[str, Any], ...]
    prometheuses: tuple[dict[str, Any], ...]
    webhooks: tuple[dict[str, Any], ...]
    mutating: tuple[dict[str, Any], ...]
    deployments: tuple[dict[str, Any], ...]
    unreadable: tuple[str, ...]
    pods: int = 0
    schedulers: Mapping[str, int] = {}
    held: Mapping[str, Mapping[str, int]] = {}

    def free(self, place: Accelerators) -> int:
        """How many of a node's accelerators of a device plugin no pod had asked for when the inventory was taken."""
        return place.count - self.held.get(place.node, {}).get(place.resource, 0)

    def ready_nodes(self) -> list[dict[str, Any]]:
        """Nodes on which an ordinary pod can be placed."""
        return [
            node
            for node in self.nodes
            if node["ready"]
            and node["schedulable"]
            and not any(taint["effect"] in ("NoSchedule", "NoExecute") for taint in node["taints"])
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


def cluster_facts(record: Sequence[Observation]) -> ClusterFacts:
    """The facts of an inventory's observations."""

    def all_of(event: str) -> tuple[dict[str, Any], ...]:
        return tuple(
            {key: value for key, value in each.fact.items() if key != "event"} for each in record if each.event == event
        )

    def one_of(event: str, key: str, default: Any) -> Any:
        return next((each[key] for each in all_of(event)), default)

    nodes = all_of("node")
    return ClusterFacts(
        version=one_of("version", "gitVersion", ""),
        cluster=one_of("cluster", "uid", ""),
        served=frozenset(one_of("served", "versions", ())),
        nodes=nodes,
        accelerators=(*_of_plugins(nodes), *_of_drivers(all_of("slice"))),
        slices=all_of("slice"),
        device_classes=tuple(each["name"] for each in all_of("device-class")),
        gateway_classes=all_of("gateway-class"),
        runtime_classes=all_of("runtime-class"),
        node_pools=all_of("node-pool"),
        prometheuses=all_of("prometheus"),
        webhooks=all_of("webhooks"),
        mutating=all_of("mutating-webhooks"),
        deployments=tuple(one_of("deployments", "found", ())),
        pods=one_of("pods", "count", 0),
        schedulers=one_of("pods", "schedulers", {}),
        held=one_of("pods", "held", {}),
        unreadable=tuple(each["what"] for each in all_of("unreadable")),
    )


def _of_plugins(nodes: Sequence[dict[str, Any]]) -> list[Accelerators]:
    found = []
    for node in nodes:
        for resource in extended(node["allocatable"]):
            count = int(node["allocatable"][resource])
            hardware = of_resource(resource)
            # An unknown extended resource may be anything: a network card, a licence. Known ones only.
            if count > 0 and hardware is not None:
                found.append(Accelerators(node=node["name"], resource=resource, count=count, hardware=hardware))
    return found


def _of_drivers(slices: Sequence[dict[str, Any]]) -> list[Accelerators]:
    counts: dict[tuple[str, str], set[str]] = {}
    for each in slices:
        # Partitions of a device share its counters: they are not further devices.
        names = {(device["counters"] or [device["name"]])[0] for device in each["devices"]}
        counts.setdefault((each["node"], each["driver"]), set()).update(names)
    return [
        Accelerators(node=node, driver=driver, count=len(names), hardware=of_driver(driver))
        for (node, driver), names in sorted(counts.items())
        if names
    ]
