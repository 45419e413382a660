"""Pods that hold accelerators and say what they see: what several probes do with devices."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.hardware import Hardware
from plimsoll.capabilities.probe_namespace import ProbeNamespace, pod_fields
from plimsoll.kubernetes.api import Manifest

LEVEL = "baseline"
"""The Pod Security level that `HOLDER` fits into."""
HOLDER: Manifest = {
    "runAsUser": 0,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"], "add": ["DAC_OVERRIDE"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
DRA = "resource.k8s.io/v1"
_DEVICE = re.compile(r"^device (\S+) ([^|]*)\|(\w+)\|(\w+)\|(\w+)\|(\d+)$")


class Offer:
    """One way of getting a device: a device plugin's resource, or a class with an expression that chooses it."""

    def __init__(self, hardware: Hardware, *, resource: str = "", device_class: str = "", expression: str = "") -> None:
        self.hardware = hardware
        self.resource = resource
        self.device_class = device_class
        self.expression = expression

    @property
    def name(self) -> str:
        """What is asked for."""
        return self.resource or self.device_class


def make_holder(ns: ProbeNamespace, name: str, offer: Offer, node: str = "", more: str = "") -> None:
    """Make a pod that asks for a device, lists what it has been given, runs `more`, and waits."""
    container: dict[str, Any] = {"securityContext": HOLDER}
    spec: dict[str, Any] = {"tolerations": [{"operator": "Exists"}]}
    if node:
        spec["nodeSelector"] = {"kubernetes.io/hostname": node}
    if offer.resource:
        container["resources"] = {"limits": {offer.resource: "1"}}
    elif offer.device_class:
        ns.apply(resource_claim(name, offer.device_class, offer.expression))
        container["resources"] = {"claims": [{"name": "device"}]}
        spec["resourceClaims"] = [{"name": "device", "resourceClaimName": name}]
    ns.pod(name, f"{_show(offer.hardware)}\n{more}\necho listed; sleep 3600", container=container, **spec)


def resource_claim(name: str, device_class: str, expression: str = "") -> Manifest:
    """A claim of one device of a class; `expression` is CEL over `device`."""
    exactly: Manifest = {"deviceClassName": device_class, "count": 1}
    if expression:
        exactly["selectors"] = [{"cel": {"expression": expression}}]
    spec = {"devices": {"requests": [{"name": "device", "exactly": exactly}]}}
    return {"apiVersion": DRA, "kind": "ResourceClaim", "metadata": {"name": name}, "spec": spec}


def _show(hardware: Hardware) -> str:
    """Type and numbers of each device file, the digest of its first block, and how much of that is not zero."""
    return (
        f'for f in {" ".join(hardware.devices)}; do [ -e "$f" ] || continue; '
        'dd if="$f" of=/tmp/read bs=4096 count=1 2>/dev/null || : > /tmp/read; '
        'echo "device $f $(stat -c \'%F|%t|%T\' "$f")|$(sha256sum < /tmp/read | cut -c 1-64)'
        '|$(tr -d "\\000" < /tmp/read | wc -c)"; done'
    )


def parse_devices(log: str) -> list[dict[str, Any]]:
    """The devices of a holder's log: path, kind, numbers, digest of the first block, bytes of it that are not zero."""
    found = []
    for line in log.splitlines():
        if match := _DEVICE.match(line):
            path, kind, major, minor, digest, content = match.groups()
            found.append(
                {
                    "path": path,
                    "kind": kind,
                    "major": int(major, 16),
                    "minor": int(minor, 16),
                    "digest": digest,
                    "content": int(content),
                }
            )
    return found


def lists_devices(ns: ProbeNamespace, name: str) -> bool:
    """Whether the pod has listed what it was given."""
    return ns.phase(name) == "Running" and "listed" in ns.log(name).splitlines()


def note_holder(ns: ProbeNamespace, name: str, event: str = "holder", **more: Any) -> None:
    """Record what became of a holder: its devices, or why it waits, and what its claim was given."""
    pod = pod_fields(ns.get("v1", "Pod", name))
    log = ns.log(name) if pod["phase"] == "Running" else ""
    rest = [line for line in log.splitlines() if not line.startswith("device ") and line != "listed"]
    ns.note(event, devices=parse_devices(log), printed=rest, allocated=allocated_devices(ns, name), **pod, **more)


def allocated_devices(ns: ProbeNamespace, name: str) -> list[dict[str, str]]:
    """Driver, pool and device of what a claim was given; empty when nothing, or when there is no claim."""
    if not ns.api.serves(DRA, "ResourceClaim"):
        return []
    for each in ns.list(DRA, "ResourceClaim"):
        if each["metadata"]["name"] == name:
            results = each.get("status", {}).get("allocation", {}).get("devices", {}).get("results", [])
            return [{key: result[key] for key in ("driver", "pool", "device")} for result in results]
    return []


def remove_holder(ns: ProbeNamespace, name: str) -> None:
    """Take a holder and its claim away, and wait until they are gone."""
    ns.api.delete("v1", "Pod", name, ns.name, grace=0)
    if ns.api.serves(DRA, "ResourceClaim"):
        ns.api.delete(DRA, "ResourceClaim", name, ns.name)
    ns.wait(f"the end of {name}", lambda: not ns.phase(name), 60)


def is_unschedulable(ns: ProbeNamespace, name: str) -> bool:
    """Whether a scheduler has said that it has no place for the pod."""
    return bool(pod_fields(ns.get("v1", "Pod", name))["unscheduled"])


def is_decided(ns: ProbeNamespace, name: str) -> bool:
    """Whether the holder either has its devices or cannot be scheduled."""
    return lists_devices(ns, name) or is_unschedulable(ns, name)


def distinguishing_attribute(
    facts: ClusterFacts, hardware: Hardware, *, shared: bool = False, parted: bool = False
) -> tuple[str, str] | None:
    """An attribute's name and value by which one device of the hardware's driver is told from all others.

    One that the device can tell itself comes first. `shared` are devices of which several claims hold one, `parted`
    those that are offered in parts too.
    """
    devices = [
        device
        for each in facts.slices
        if each["driver"] in hardware.drivers
        for device in each["devices"]
        if bool(device["shared"]) is shared and (not parted or device["counters"])
    ]
    everything = [device for each in facts.slices if each["driver"] in hardware.drivers for device in each["devices"]]
    for device in devices:
        for key in sorted(device.get("texts", []), key=lambda key: not device_reports(hardware, key)):
            value = device["attributes"][key]
            having = {_body(other) for other in everything if other["attributes"].get(key) == value}
            if having == {_body(device)}:
                return key, str(value)
    return None


def device_reports(hardware: Hardware, attribute: str) -> bool:
    """Whether a held device says itself what the attribute says of it."""
    return attribute.rpartition("/")[2] in hardware.told


def _body(device: dict[str, Any]) -> str:
    """Parts of one device draw on its counters: they are one body."""
    return str((device["counters"] or [device["name"]])[0])


def attribute_selector(hardware: Hardware, attribute: tuple[str, str]) -> str:
    """CEL that chooses the device with an attribute of that value."""
    key, value = attribute
    domain, _, name = key.rpartition("/")
    return f'device.attributes["{domain or hardware.drivers[0]}"].{name} == "{value}"'


def hardware_with_class(facts: ClusterFacts, classes: str) -> Sequence[tuple[Hardware, str]]:
    """Known hardware that is there, with the first of its classes of a kind (a field of Hardware) that is served."""
    kinds = {each.hardware.name: each.hardware for each in facts.by_claim() if each.hardware}
    return [
        (hardware, name)
        for hardware in kinds.values()
        for name in [each for each in getattr(hardware, classes) if each in facts.device_classes][:1]
    ]
