"""Pods that share a device, one more at a time until one has to wait."""

from __future__ import annotations

from functools import partial

from plimsoll.capabilities.device_holders import (
    LEVEL,
    Offer,
    attribute_selector,
    distinguishing_attribute,
    hardware_with_class,
    is_decided,
    lists_devices,
    make_holder,
    note_holder,
    remove_holder,
)
from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.hardware import HARDWARE
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.evidence.verdict import Verdict, failed, unknown

_START_LIMIT = 120.0
_MOST = 17
_WINDOW = 5.0


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """A mode of sharing that is declared, for hardware that is known."""
    if _modes(facts):
        return None
    if not any(each.hardware for each in facts.accelerators):
        return unknown("no accelerator that is known", "connect one, or report the hardware that there is")
    return failed(
        "",
        "no mode of sharing is declared: no shared resource and no class of shared devices",
        "see the driver's settings",
    )


def _modes(facts: ClusterFacts) -> list[tuple[Offer, str]]:
    """Each declared mode with the node it is tried on; a class chooses its device, and so its node, itself."""
    found = []
    for hardware in HARDWARE:
        for resource in hardware.shared:
            nodes = [each["name"] for each in facts.nodes if int(each["allocatable"].get(resource, "0")) > 1]
            found += [(Offer(hardware, resource=resource), node) for node in nodes[:1]]
    for hardware, name in hardware_with_class(facts, "shared_classes"):
        if attribute := distinguishing_attribute(facts, hardware, shared=True):
            found.append((Offer(hardware, device_class=name, expression=attribute_selector(hardware, attribute)), ""))
    return found


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Every mode."""
    ns.create(LEVEL)
    for number, (offer, node) in enumerate(_modes(facts)):
        _shared(ns, f"mode-{number}", offer, node)


def _shared(ns: ProbeNamespace, prefix: str, offer: Offer, node: str) -> None:
    ns.note("mode", mode=prefix, name=offer.name, node=node)
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
        note_holder(ns, name, mode=prefix, case="holds")
    if waiting:
        ns.watch_for(_WINDOW, lambda: None)
        note_holder(ns, waiting, mode=prefix, case="waits")
        if running:
            remove_holder(ns, running.pop())
            ns.wait("a place that was given back", lambda: lists_devices(ns, waiting), _START_LIMIT)
            note_holder(ns, waiting, mode=prefix, case="released")
    for name in (*running, *([waiting] if waiting else [])):
        remove_holder(ns, name)
