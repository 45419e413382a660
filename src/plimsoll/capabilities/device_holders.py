"""Pods that hold an accelerator and print what they see of it, for the probes of devices."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.hardware import Hardware
from plimsoll.capabilities.holder_records import AllocatedDevice, HeldDevice, HolderFields
from plimsoll.capabilities.inventory_records import AttributeValue, SliceDevice
from plimsoll.capabilities.pods import pod_fields, unscheduled_message
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.capabilities.rights import MAKE, READ, Right
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
CLAIM_RIGHTS = (Right(group="resource.k8s.io", resources=("resourceclaims",), verbs=(*READ, *MAKE)),)
"""The rights of a probe with claims."""
_DEVICE = re.compile(r"^device (\S+) ([^|]*)\|(\w+)\|(\w+)\|(\w+)\|(\d+)$")


class Offer:
    """One way to get a device: the resource of a device plugin, or a device class with a CEL expression."""

    def __init__(self, hardware: Hardware, *, resource: str = "", device_class: str = "", expression: str = "") -> None:
        self.hardware = hardware
        self.resource = resource
        self.device_class = device_class
        self.expression = expression

    @property
    def name(self) -> str:
        """The resource or the device class."""
        return self.resource or self.device_class


def make_holder(ns: ProbeNamespace, name: str, offer: Offer, node: str = "", more: str = "") -> None:
    """Create a pod that requests a device, lists the device files in it, runs the script `more`, and waits."""
    container: Manifest = {"securityContext": HOLDER}
    spec: Manifest = {"tolerations": [{"operator": "Exists"}]}
    if node:
        spec["nodeSelector"] = {"kubernetes.io/hostname": node}
    if offer.resource:
        container["resources"] = {"limits": {offer.resource: "1"}}
    elif offer.device_class:
        ns.apply(resource_claim(name, offer.device_class, offer.expression))
        container["resources"] = {"claims": [{"name": "device"}]}
        spec["resourceClaims"] = [{"name": "device", "resourceClaimName": name}]
    ns.pod(name, f"{_listing(offer.hardware)}\n{more}\necho listed; sleep 3600", container=container, **spec)


def resource_claim(name: str, device_class: str, expression: str = "") -> Manifest:
    """A claim of one device of a class; `expression` is CEL over `device`."""
    exactly: Manifest = {"deviceClassName": device_class, "count": 1}
    if expression:
        exactly["selectors"] = [{"cel": {"expression": expression}}]
    spec = {"devices": {"requests": [{"name": "device", "exactly": exactly}]}}
    return {"apiVersion": DRA, "kind": "ResourceClaim", "metadata": {"name": name}, "spec": spec}


def _listing(hardware: Hardware) -> str:
    """A script that prints type, numbers, digest of the first block, and bytes of it that are not zero, per device."""
    return (
        f'for f in {" ".join(hardware.devices)}; do [ -e "$f" ] || continue; '
        'dd if="$f" of=/tmp/read bs=4096 count=1 2>/dev/null || : > /tmp/read; '
        'echo "device $f $(stat -c \'%F|%t|%T\' "$f")|$(sha256sum < /tmp/read | cut -c 1-64)'
        '|$(tr -d "\\000" < /tmp/read | wc -c)"; done'
    )


def parse_devices(log: str) -> tuple[HeldDevice, ...]:
    """The devices in the log of a holder."""
    found = []
    for line in log.splitlines():
        if match := _DEVICE.match(line):
            path, kind, major, minor, digest, content = match.groups()
            found.append(
                HeldDevice(
                    path=path,
                    kind=kind,
                    major=int(major, 16),
                    minor=int(minor, 16),
                    digest=digest,
                    content=int(content),
                )
            )
    return tuple(found)


def lists_devices(ns: ProbeNamespace, name: str) -> bool:
    """Whether the holder runs and has listed its devices."""
    return ns.phase(name) == "Running" and "listed" in ns.log(name).splitlines()


def holder_fields(ns: ProbeNamespace, name: str) -> HolderFields:
    """The state of a holder, as the fields of a record: its devices, or why it waits, and what its claim was given."""
    pod = pod_fields(ns.get("v1", "Pod", name))
    log = ns.log(name) if pod["phase"] == "Running" else ""
    rest = tuple(line for line in log.splitlines() if not line.startswith("device ") and line != "listed")
    return HolderFields(**pod, devices=parse_devices(log), printed=rest, allocated=allocated_devices(ns, name))


def allocated_devices(ns: ProbeNamespace, name: str) -> tuple[AllocatedDevice, ...]:
    """The devices that a claim was allocated; empty when there are none, or no claim."""
    if not ns.api.serves(DRA, "ResourceClaim"):
        return ()
    for each in ns.list(DRA, "ResourceClaim"):
        if each["metadata"]["name"] == name:
            results = each.get("status", {}).get("allocation", {}).get("devices", {}).get("results", [])
            return tuple(
                AllocatedDevice(driver=result["driver"], pool=result["pool"], device=result["device"])
                for result in results
            )
    return ()


def remove_holder(ns: ProbeNamespace, name: str) -> None:
    """Delete a holder and its claim, and wait for the end of the pod."""
    ns.api.delete("v1", "Pod", name, ns.name, grace=0)
    if ns.api.serves(DRA, "ResourceClaim"):
        ns.api.delete(DRA, "ResourceClaim", name, ns.name)
    ns.wait(f"the end of {name}", lambda: not ns.phase(name), 60)


def is_unschedulable(ns: ProbeNamespace, name: str) -> bool:
    """Whether a scheduler reports that no node fits the pod."""
    return bool(unscheduled_message(ns.get("v1", "Pod", name)))


def is_decided(ns: ProbeNamespace, name: str) -> bool:
    """Whether the holder has its devices or cannot be scheduled."""
    return lists_devices(ns, name) or is_unschedulable(ns, name)


def distinguishing_attribute(
    facts: ClusterFacts, hardware: Hardware, *, shared: bool = False, parted: bool = False
) -> tuple[str, str] | None:
    """Name and value of an attribute that only one device of the hardware's driver has; None when there is none.

    Attributes that a held device reports itself come first. `shared` selects devices that several claims can hold,
    `parted` devices that are offered in parts too.
    """
    everything = [device for each in facts.slices if each.driver in hardware.drivers for device in each.devices]
    for device in everything:
        if device.shared is not shared or (parted and not device.counters):
            continue
        for key in sorted(device.texts, key=lambda key: not device_reports(hardware, key)):
            value = device.attributes[key]
            if _bodies_with(everything, key, value) == {device.body}:
                return key, str(value)
    return None


def _bodies_with(devices: Sequence[SliceDevice], key: str, value: AttributeValue | list[AttributeValue]) -> set[str]:
    return {each.body for each in devices if each.attributes.get(key) == value}


def device_reports(hardware: Hardware, attribute: str) -> bool:
    """Whether a held device itself reports the value of the attribute."""
    return attribute.rpartition("/")[2] in hardware.identity_attributes


def attribute_selector(hardware: Hardware, attribute: tuple[str, str]) -> str:
    """CEL that selects the device with that name and value of an attribute."""
    key, value = attribute
    domain, _, name = key.rpartition("/")
    return f'device.attributes["{domain or hardware.drivers[0]}"].{name} == "{value}"'


def hardware_with_class(
    facts: ClusterFacts, classes: Callable[[Hardware], tuple[str, ...]]
) -> list[tuple[Hardware, str]]:
    """Known hardware of the cluster that DRA publishes, each with the first of its `classes` that the cluster has."""
    kinds = {each.hardware.name: each.hardware for each in facts.by_claim() if each.hardware}
    return [
        (hardware, name)
        for hardware in kinds.values()
        for name in [each for each in classes(hardware) if each in facts.device_classes][:1]
    ]
