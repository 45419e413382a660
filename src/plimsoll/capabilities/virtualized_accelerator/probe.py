"""Two parts of one device, and the whole of it."""

from __future__ import annotations

from plimsoll.capabilities.device_holders import (
    LEVEL,
    Offer,
    chosen,
    expression,
    hold,
    holds,
    note_holder,
    refused,
    release,
    with_class,
)
from plimsoll.capabilities.facts import Facts
from plimsoll.capabilities.hardware import Hardware
from plimsoll.capabilities.probe_namespace import Stage
from plimsoll.evidence.verdict import Verdict, not_applicable, unknown

_START_LIMIT = 120.0
# Labels and resources by which drivers of virtual accelerators make themselves known.
_LABELS = ("nvidia.com/vgpu.present", "nvidia.com/vgpu.host-driver-version", "nvidia.com/vgpu.config")
_RESOURCES = ("nvidia.com/GRID", "nvidia.com/vgpu")


def obstacle(facts: Facts) -> Verdict | None:
    """Only for those who declare parts."""
    if _place(facts):
        return None
    declared = [
        f"{word} on {node['name']}"
        for node in facts.nodes
        for word in (*node["labels"], *node["allocatable"])
        if word in _LABELS or word.startswith(_RESOURCES)
    ]
    if declared:
        return unknown(f"declared by {declared[0]}, which cannot be tried yet", "show by hand what a pod gets of it")
    if {"nodes", "slices", "device-class"} & set(facts.unreadable):
        return unknown(
            "whether there are virtual accelerators cannot be seen", "grant list on nodes and resourceslices"
        )
    return not_applicable(
        f"none is declared: no such label or resource on {len(facts.nodes)} nodes, no class of parts among "
        f"{len(facts.device_classes)} device classes"
    )


def _place(facts: Facts) -> tuple[Hardware, str, str, tuple[str, str]] | None:
    for hardware, part in with_class(facts, "part_classes"):
        whole = next((each for each in hardware.classes if each in facts.device_classes), "")
        if attribute := chosen(facts, hardware, parted=True):
            return hardware, part, whole, attribute
    return None


def observe(stage: Stage, facts: Facts) -> None:
    """The parts first, the whole beside them."""
    place = _place(facts)
    if place is None:
        return
    hardware, part, whole, attribute = place
    stage.open(LEVEL)
    stage.note("asked", part=part, whole=whole, attribute=attribute[0], value=attribute[1])
    chooses = expression(hardware, attribute)
    parts = ("part-1", "part-2")
    for name in parts:
        hold(stage, name, Offer(hardware, device_class=part, expression=chooses))
        stage.wait(f"{name}", lambda name=name: holds(stage, name), _START_LIMIT)  # type: ignore[misc]  # mypy cannot infer such lambdas
        note_holder(stage, name, case=name)
    hold(stage, "whole", Offer(hardware, device_class=whole, expression=chooses))
    stage.wait("the scheduler's word on the whole", lambda: refused(stage, "whole"), _START_LIMIT)
    note_holder(stage, "whole", case="whole")
    for name in parts:
        release(stage, name)
    stage.wait("the whole device", lambda: holds(stage, "whole"), _START_LIMIT)
    note_holder(stage, "whole", case="released")
