"""Claims by attribute: one that can be met, the same again, and one that cannot."""

from __future__ import annotations

import secrets

from plimsoll.capabilities.device_holders import (
    LEVEL,
    Offer,
    allocated,
    chosen,
    expression,
    hold,
    holds,
    note_holder,
    refused,
    release,
    tells,
    with_class,
)
from plimsoll.capabilities.facts import Facts
from plimsoll.capabilities.hardware import Hardware
from plimsoll.capabilities.probe_namespace import Stage
from plimsoll.evidence.verdict import Verdict, failed, unknown

_START_LIMIT = 120.0
_WINDOW = 8.0


def obstacle(facts: Facts) -> Verdict | None:
    """The API, a driver that is known, and a device that can be told from the others."""
    if _place(facts):
        return None
    if "resource.k8s.io/v1" not in facts.served:
        return failed("", "resource.k8s.io/v1 is not served", "Kubernetes 1.34 and newer serve it by default")
    if not facts.by_claim():
        return unknown("no DRA driver publishes devices", "install the driver of the accelerators that there are")
    return unknown(
        "no known DRA driver publishes a device that can be told from the others by an attribute",
        "report the driver and its attributes",
    )


def _place(facts: Facts) -> tuple[Hardware, str, tuple[str, str]] | None:
    for hardware, device_class in with_class(facts, "classes"):
        if attribute := chosen(facts, hardware):
            return hardware, device_class, attribute
    return None


def observe(stage: Stage, facts: Facts) -> None:
    """One device, wanted twice; and one that there is not."""
    place = _place(facts)
    if place is None:
        return
    hardware, device_class, attribute = place
    stage.open(LEVEL)
    key, value = attribute
    having = [
        {"driver": each["driver"], "pool": each["pool"], "device": device["name"]}
        for each in facts.slices
        for device in each["devices"]
        if device["attributes"].get(key) == value
    ]
    told = tells(hardware, key)
    stage.note("asked", device_class=device_class, attribute=key, value=value, having=having, told=told)
    offer = Offer(hardware, device_class=device_class, expression=expression(hardware, attribute))
    nothing = f"none-{secrets.token_hex(6)}"
    impossible = Offer(hardware, device_class=device_class, expression=expression(hardware, (key, nothing)))
    hold(stage, "wanted", offer, more=hardware.says)
    stage.wait("the claim by attribute", lambda: holds(stage, "wanted"), _START_LIMIT)
    note_holder(stage, "wanted", case="positive")
    hold(stage, "again", offer, more=hardware.says)
    hold(stage, "impossible", impossible)
    both = ("again", "impossible")
    stage.wait("the scheduler's word on the others", lambda: all(refused(stage, name) for name in both), _START_LIMIT)
    got: list[str] = []
    stage.hold(_WINDOW, lambda: got.extend(name for name in both if allocated(stage, name)))
    note_holder(stage, "again", case="control", ever=got.count("again"))
    note_holder(stage, "impossible", case="negative", ever=got.count("impossible"))
    release(stage, "wanted")
    stage.wait("the device for the next", lambda: holds(stage, "again"), _START_LIMIT)
    note_holder(stage, "again", case="released")
    note_holder(stage, "impossible", case="still", ever=len(allocated(stage, "impossible")))
