"""Creates claims by attribute: one that a device fits, the same again, and one that no device fits."""

from __future__ import annotations

import secrets

from plimsoll.capabilities.device_holders import (
    LEVEL,
    Offer,
    allocated_devices,
    attribute_selector,
    device_reports,
    distinguishing_attribute,
    hardware_with_class,
    holder_fields,
    is_unschedulable,
    lists_devices,
    make_holder,
    remove_holder,
)
from plimsoll.capabilities.dra_support.records import ClaimAsked, ClaimHolder
from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.hardware import Hardware
from plimsoll.capabilities.holder_records import AllocatedDevice
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.evidence.verdict import Verdict, failed, unknown

_START_LIMIT = 120.0
_WINDOW = 8.0


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """The probe needs the API, a known driver, and a device that differs from the others by an attribute."""
    if _place(facts):
        return None
    if "resource.k8s.io/v1" not in facts.served:
        return failed(
            "", "the cluster does not serve resource.k8s.io/v1", "Kubernetes 1.34 and newer serve it by default"
        )
    if not facts.by_claim():
        return unknown("no DRA driver publishes devices", "install the driver of the cluster's accelerators")
    return unknown(
        "no known DRA driver publishes a device that differs from the others by an attribute",
        "report the driver and its attributes",
    )


def _place(facts: ClusterFacts) -> tuple[Hardware, str, tuple[str, str]] | None:
    for hardware, device_class in hardware_with_class(facts, lambda hardware: hardware.classes):
        if attribute := distinguishing_attribute(facts, hardware):
            return hardware, device_class, attribute
    return None


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Claim one device twice, and a device that does not exist."""
    place = _place(facts)
    if place is None:
        return
    hardware, device_class, attribute = place
    ns.create(LEVEL)
    key, value = attribute
    having = tuple(
        AllocatedDevice(driver=each.driver, pool=each.pool, device=device.name)
        for each in facts.slices
        for device in each.devices
        if device.attributes.get(key) == value
    )
    told = device_reports(hardware, key)
    ns.note(ClaimAsked(device_class=device_class, attribute=key, value=value, having=having, told=told))
    offer = Offer(hardware, device_class=device_class, expression=attribute_selector(hardware, attribute))
    nothing = f"none-{secrets.token_hex(6)}"
    impossible = Offer(hardware, device_class=device_class, expression=attribute_selector(hardware, (key, nothing)))
    make_holder(ns, "wanted", offer, more=hardware.identity_script)
    ns.wait("the claim by attribute", lambda: lists_devices(ns, "wanted"), _START_LIMIT)
    ns.note(ClaimHolder(**holder_fields(ns, "wanted"), case="positive"))
    make_holder(ns, "again", offer, more=hardware.identity_script)
    make_holder(ns, "impossible", impossible)
    both = ("again", "impossible")
    ns.wait(
        "the scheduler's messages about the others",
        lambda: all(is_unschedulable(ns, name) for name in both),
        _START_LIMIT,
    )
    got: list[str] = []
    ns.watch_for(_WINDOW, lambda: got.extend(name for name in both if allocated_devices(ns, name)))
    ns.note(ClaimHolder(**holder_fields(ns, "again"), case="control", ever=got.count("again")))
    ns.note(ClaimHolder(**holder_fields(ns, "impossible"), case="negative", ever=got.count("impossible")))
    remove_holder(ns, "wanted")
    ns.wait("the device for the next", lambda: lists_devices(ns, "again"), _START_LIMIT)
    ns.note(ClaimHolder(**holder_fields(ns, "again"), case="released"))
    ns.note(ClaimHolder(**holder_fields(ns, "impossible"), case="still", ever=len(allocated_devices(ns, "impossible"))))
