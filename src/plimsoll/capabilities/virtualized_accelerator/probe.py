"""Claims two parts of one device, and the whole device."""

from __future__ import annotations

from functools import partial

from plimsoll.capabilities.device_holders import (
    LEVEL,
    Offer,
    attribute_selector,
    distinguishing_attribute,
    hardware_with_class,
    holder_fields,
    is_unschedulable,
    lists_devices,
    make_holder,
    remove_holder,
)
from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.hardware import Hardware
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.capabilities.virtualized_accelerator.records import PartHolder, PartsAsked
from plimsoll.evidence.verdict import Verdict, not_applicable, unknown

_START_LIMIT = 120.0
# Labels and resources of drivers of virtual accelerators.
_LABELS = ("nvidia.com/vgpu.present", "nvidia.com/vgpu.host-driver-version", "nvidia.com/vgpu.config")
_RESOURCES = ("nvidia.com/GRID", "nvidia.com/vgpu")


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """The requirement applies to clusters that declare parts."""
    if _place(facts):
        return None
    declared = [
        f"{word} on {node.name}"
        for node in facts.nodes
        for word in (*node.labels, *node.allocatable)
        if word in _LABELS or word.startswith(_RESOURCES)
    ]
    if declared:
        return unknown(
            f"{declared[0]} declares virtual accelerators, which plimsoll cannot test yet",
            "show by hand what a pod gets of them",
        )
    if {"nodes", "slices", "device-class"} & set(facts.unreadable):
        return unknown(
            "the caller may not list nodes or DRA objects: there may be virtual accelerators",
            "grant list on nodes and resourceslices",
        )
    return not_applicable(
        f"none is declared: no such label or resource on {len(facts.nodes)} nodes, no class of parts among "
        f"{len(facts.device_classes)} device classes"
    )


def _place(facts: ClusterFacts) -> tuple[Hardware, str, str, tuple[str, str]] | None:
    for hardware, part in hardware_with_class(facts, lambda hardware: hardware.part_classes):
        whole = next((each for each in hardware.classes if each in facts.device_classes), "")
        if attribute := distinguishing_attribute(facts, hardware, parted=True):
            return hardware, part, whole, attribute
    return None


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Claim the parts first, then the whole device."""
    place = _place(facts)
    if place is None:
        return
    hardware, part, whole, attribute = place
    ns.create(LEVEL)
    ns.note(PartsAsked(part=part, whole=whole, attribute=attribute[0], value=attribute[1]))
    chooses = attribute_selector(hardware, attribute)
    parts = ("part-1", "part-2")
    for name in parts:
        make_holder(ns, name, Offer(hardware, device_class=part, expression=chooses))
        ns.wait(f"{name}", partial(lists_devices, ns, name), _START_LIMIT)
        ns.note(PartHolder(**holder_fields(ns, name), case=name))
    make_holder(ns, "whole", Offer(hardware, device_class=whole, expression=chooses))
    ns.wait("the scheduler's message about the whole device", lambda: is_unschedulable(ns, "whole"), _START_LIMIT)
    ns.note(PartHolder(**holder_fields(ns, "whole"), case="whole"))
    for name in parts:
        remove_holder(ns, name)
    ns.wait("the whole device", lambda: lists_devices(ns, "whole"), _START_LIMIT)
    ns.note(PartHolder(**holder_fields(ns, "whole"), case="released"))
