"""Creates pods that share a device, one by one until one has to wait."""

from __future__ import annotations

from functools import partial

from plimsoll.capabilities.device_holders import (
    LEVEL,
    Offer,
    attribute_selector,
    distinguishing_attribute,
    hardware_with_class,
    holder_fields,
    is_decided,
    lists_devices,
    make_holder,
    remove_holder,
)
from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.gpu_sharing.records import SharingHolder, SharingMode
from plimsoll.capabilities.hardware import HARDWARE
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.evidence.verdict import Verdict, not_implemented, unknown

_START_LIMIT = 120.0
_MOST = 17
_WINDOW = 5.0


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """The probe needs a declared mode of sharing, for known hardware."""
    if _modes(facts):
        return None
    if not any(each.hardware for each in facts.accelerators):
        return unknown("the cluster has no known accelerator", "connect one, or report the hardware of the nodes")
    return not_implemented(
        "the cluster declares no mode of sharing: no shared resource and no class of shared devices",
        "see the driver's settings",
    )


def _modes(facts: ClusterFacts) -> list[tuple[Offer, str]]:
    """Each declared mode with its node; the node is empty for a device class, which chooses the device itself."""
    found = []
    for hardware in HARDWARE:
        for resource in hardware.shared:
            nodes = [each.name for each in facts.nodes if int(each.allocatable.get(resource, "0")) > 1]
            found += [(Offer(hardware, resource=resource), node) for node in nodes[:1]]
    for hardware, name in hardware_with_class(facts, lambda hardware: hardware.shared_classes):
        if attribute := distinguishing_attribute(facts, hardware, shared=True):
            found.append((Offer(hardware, device_class=name, expression=attribute_selector(hardware, attribute)), ""))
    return found


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Test every mode."""
    ns.create(LEVEL)
    for number, (offer, node) in enumerate(_modes(facts)):
        _shared(ns, f"mode-{number}", offer, node)


def _shared(ns: ProbeNamespace, prefix: str, offer: Offer, node: str) -> None:
    ns.note(SharingMode(mode=prefix, name=offer.name, node=node))
    running: list[str] = []
    waiting = ""
    while not waiting and len(running) < _MOST:
        name = f"{prefix}-{len(running)}"
        make_holder(ns, name, offer, node)
        ns.wait(f"a decision on {name}", partial(is_decided, ns, name), _START_LIMIT)
        if not lists_devices(ns, name):
            waiting = name
            break
        running.append(name)
        ns.note(SharingHolder(**holder_fields(ns, name), mode=prefix, case="holds"))
    if waiting:
        ns.watch_for(_WINDOW, lambda: None)
        ns.note(SharingHolder(**holder_fields(ns, waiting), mode=prefix, case="waits"))
        if running:
            remove_holder(ns, running.pop())
            ns.wait("a place that is free again", lambda: lists_devices(ns, waiting), _START_LIMIT)
            ns.note(SharingHolder(**holder_fields(ns, waiting), mode=prefix, case="released"))
    for name in (*running, *([waiting] if waiting else [])):
        remove_holder(ns, name)
