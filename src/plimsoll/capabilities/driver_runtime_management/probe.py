"""A holder on every node with accelerators."""

from __future__ import annotations

from functools import partial

from plimsoll.capabilities.device_holders import (
    LEVEL,
    Offer,
    is_decided,
    make_holder,
    note_holder,
    remove_holder,
)
from plimsoll.capabilities.facts import Accelerators, ClusterFacts
from plimsoll.capabilities.hardware import Hardware
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.evidence.verdict import Verdict, unknown

_START_LIMIT = 120.0


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """Where a version is to be seen is known for known hardware only."""
    if _places(facts):
        return None
    return unknown(
        "no accelerator whose driver's version is known where to find in a container",
        "report the hardware that there is, and where its driver's version can be read",
    )


def _places(facts: ClusterFacts) -> list[Accelerators]:
    """One way to each node's accelerators of each hardware."""
    found: dict[tuple[str, str], Accelerators] = {}
    for each in (*facts.by_plugin(), *facts.by_claim()):
        # A driver's pool may belong to no node; it has none whose driver could differ.
        if each.hardware and each.hardware.version and each.node:
            found.setdefault((each.node, each.hardware.name), each)
    return list(found.values())


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """All of them side by side."""
    ns.create(LEVEL)
    places = _places(facts)
    for number, each in enumerate(places):
        hardware = each.hardware
        if hardware is None:
            continue
        ns.note("advertised", node=each.node, hardware=hardware.name, found=_advertised(facts, each.node, hardware))
        resource = each.resource
        device_class = "" if resource else next(iter(hardware.classes))
        offer = Offer(hardware, resource=resource, device_class=device_class)
        make_holder(ns, f"holder-{number}", offer, each.node, more=f'echo "version $({hardware.version})"')
    for number, _ in enumerate(places):
        name = f"holder-{number}"
        ns.wait(f"{name}", partial(is_decided, ns, name), _START_LIMIT)
        note_holder(ns, name, on=places[number].node)
        remove_holder(ns, name)


def _advertised(facts: ClusterFacts, node: str, hardware: Hardware) -> list[str]:
    """Every version that the node's devices and its labels say."""
    devices = [
        device["attributes"]
        for each in facts.slices
        if each["node"] == node and each["driver"] in hardware.drivers
        for device in each["devices"]
    ]
    labels = [each["labels"] for each in facts.nodes if each["name"] == node]
    return sorted({str(found[key]) for found in (*devices, *labels) for key in hardware.advertised if found.get(key)})
