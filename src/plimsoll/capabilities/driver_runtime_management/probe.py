"""Creates a holder on every node with accelerators."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from plimsoll.capabilities.device_holders import (
    LEVEL,
    Offer,
    holder_fields,
    is_decided,
    make_holder,
    remove_holder,
)
from plimsoll.capabilities.driver_runtime_management.records import Advertised, DriverHolder
from plimsoll.capabilities.facts import Accelerators, ClusterFacts
from plimsoll.capabilities.hardware import Hardware
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.evidence.verdict import Verdict, unknown

_START_LIMIT = 120.0


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """The probe knows where to read the version for known hardware only."""
    if _places(facts):
        return None
    return unknown(
        "plimsoll does not know where a container shows the driver version of the accelerators",
        "report the hardware of the nodes, and where a container can read the version of its driver",
    )


def _places(facts: ClusterFacts) -> list[Accelerators]:
    """One offer for each hardware of each node."""
    found: dict[tuple[str, str], Accelerators] = {}
    for each in (*facts.by_plugin(), *facts.by_claim()):
        # A pool of a DRA driver that belongs to no node has no node whose driver could differ.
        if each.hardware and each.hardware.version and each.node:
            found.setdefault((each.node, each.hardware.name), each)
    return list(found.values())


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Create all holders, then read each."""
    ns.create(LEVEL)
    places = _places(facts)
    for number, each in enumerate(places):
        hardware = each.hardware
        if hardware is None:
            continue
        found = _advertised(facts, each.node, hardware)
        ns.note(Advertised(node=each.node, hardware=hardware.name, found=found))
        resource = each.resource
        device_class = "" if resource else next(iter(hardware.classes))
        offer = Offer(hardware, resource=resource, device_class=device_class)
        make_holder(ns, f"holder-{number}", offer, each.node, more=f'echo "version $({hardware.version})"')
    for number, _ in enumerate(places):
        name = f"holder-{number}"
        ns.wait(f"{name}", partial(is_decided, ns, name), _START_LIMIT)
        ns.note(DriverHolder(**holder_fields(ns, name), on=places[number].node))
        remove_holder(ns, name)


def _advertised(facts: ClusterFacts, node: str, hardware: Hardware) -> tuple[str, ...]:
    """Every version in the node's labels and in the attributes of its devices."""
    devices: list[Mapping[str, object]] = [
        device.attributes
        for each in facts.slices
        if each.node == node and each.driver in hardware.drivers
        for device in each.devices
    ]
    labels: list[Mapping[str, object]] = [each.labels for each in facts.nodes if each.name == node]
    versions = {str(found[key]) for found in (*devices, *labels) for key in hardware.advertised if found.get(key)}
    return tuple(sorted(versions))
