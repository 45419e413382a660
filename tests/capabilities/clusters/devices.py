"""Accelerators of a node in memory: of a device plugin and of a DRA driver, and how containers get at them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.memory.controllers.loop import World
from tests.capabilities.clusters.nodes import Pod, State
from tests.capabilities.clusters.scene import Scene

NODE = "node-1"
DRIVER, DRA = "accelerator.plimsoll.dev", "resource.k8s.io/v1"
RESOURCE, SHARED = "plimsoll.dev/accelerator", "plimsoll.dev/accelerator-shared"
VERSION = "1.2.3"
_MAJOR = 7
_MADE = re.compile(r"mknod \S+ [bc] (\d+) (\d+)")


class Device(Struct, frozen=True, kw_only=True):
    """A device; parts of one `body` share its counters. `slots` is how many claims or pods may hold it at once."""

    name: str
    uuid: str
    minor: int
    body: str = ""
    cost: int = 0
    slots: int = 1
    of_class: str = DRIVER

    @property
    def label(self) -> str:
        """Its numbers."""
        return f"{_MAJOR}:{self.minor}"

    @property
    def digest(self) -> str:
        """The digest of its first block, which has its name."""
        return hashlib.sha256(self.name.encode()).hexdigest()


PLUGIN = tuple(Device(name=f"plugin-{n}", uuid=f"ACC-a{n}", minor=n) for n in range(3))
SHARED_PLUGIN = Device(name="sliced", uuid="ACC-c0", minor=20, slots=3)
CLAIMED = (
    Device(name="gpu-0", uuid="ACC-b0", minor=10),
    Device(name="gpu-1", uuid="ACC-b1", minor=11),
    Device(name="many-0", uuid="ACC-b2", minor=12, slots=3, of_class=f"shared.{DRIVER}"),
    Device(name="whole-0", uuid="ACC-b3", minor=13, body="body-0", cost=2),
    Device(name="half-0", uuid="ACC-b3", minor=14, body="body-0", cost=1, of_class=f"half.{DRIVER}"),
    Device(name="half-1", uuid="ACC-b3", minor=15, body="body-0", cost=1, of_class=f"half.{DRIVER}"),
)
BY_NAME = {each.name: each for each in CLAIMED}
IDENTITIES = tuple(dict.fromkeys(each.uuid for each in (*PLUGIN, *CLAIMED)))
"""What an exporter has to name: a part is no device of its own."""


class Rack:
    """The devices of a node, and what its kubelet, its driver and its runtime do with them.

    A subclass does one of these things wrong.
    """

    kinds = frozenset({("", "configmaps")})
    version = VERSION

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._held: dict[str, tuple[Device, ...]] = {}
        self.names: Mapping[str, str] = {}

    def run(self, pod: Pod) -> State | None:
        """The program of pods that look for devices."""
        if "echo listed" not in pod.script:
            return None
        held = self._hold(pod)
        if "/orders/list" in pod.script:
            for container in ("main", "sibling"):
                pod.print(self._listing(self.sees(held, container), container_lists_nodes=True), container)
            return State.LASTS
        if _MADE.search(pod.script):
            pod.print(self._listing(self.sees((), "stranger"), container_lists_nodes=True))
            pod.print(f"{self._tries(pod.script, (), 'stranger')}\ndone")
            return State.ENDS
        pod.print(self._described(pod, held))
        return State.LASTS

    def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
        """Have the containers of a holder carry out the commands of its config map."""
        name, namespace = found["metadata"]["name"], found["metadata"]["namespace"]
        script, held = found.get("data", {}).get("list", ""), self._held.get(name)
        if gone or held is None or not _MADE.search(script):
            return
        for container in ("main", "sibling"):
            log = self.scene.cluster.log(namespace, name, container)
            log.write(f"{self._tries(script, held if container == 'main' else (), container)}\ndone")

    def stop(self, pod: Manifest) -> None:
        """Take back what a pod held."""
        self._held.pop(pod["metadata"]["name"], None)

    def _hold(self, pod: Pod) -> tuple[Device, ...]:
        if pod.limits.get(RESOURCE):
            given: tuple[Device, ...] = (self.give(pod),)
        elif pod.limits.get(SHARED):
            given = (self.slice_of(pod),)
        else:
            given = tuple(self.given_for(each) for each in self._allocated(pod))
        self._held[pod.name] = given
        return given

    def _allocated(self, pod: Pod) -> Iterator[Device]:
        for each in pod.manifest["spec"].get("resourceClaims") or []:
            claim = self.scene.cluster.find(DRA, "ResourceClaim", each["resourceClaimName"], pod.namespace)
            for result in allocated(claim or {}):
                yield BY_NAME[result]

    def give(self, pod: Pod) -> Device:
        """A device of the plugin that nobody holds."""
        taken = {device for held in self._held.values() for device in held}
        return next(each for each in PLUGIN if each not in taken)

    def slice_of(self, pod: Pod) -> Device:
        """The device that several pods share by the plugin."""
        return SHARED_PLUGIN

    def given_for(self, device: Device) -> Device:
        """The device that the driver puts into a container for the one that its claim was allocated."""
        return device

    def sees(self, held: tuple[Device, ...], container: str) -> tuple[Device, ...]:
        """The device files in a container: main, sibling, or that of a stranger."""
        return held if container == "main" else ()

    def opens(self, label: str, held: tuple[Device, ...], container: str) -> bool:
        """Whether the kernel opens a device for a container that made a device node of it."""
        return label in {each.label for each in held}

    def reads(self, label: str) -> str:
        """Digest of the first block, and how many of its bytes are not zero."""
        (found,) = [each for each in (*PLUGIN, *CLAIMED) if each.label == label]
        return f"{found.digest} 64"

    def kind_of_file(self) -> str:
        """The type of a device file, in the words of stat."""
        return "block special file"

    def _listing(self, devices: tuple[Device, ...], *, container_lists_nodes: bool) -> str:
        kind = self.kind_of_file()
        files = [f"/dev/plimsoll/{each.name} {kind}|{_MAJOR:x}|{each.minor:x}" for each in devices]
        nodes = [f"node {each}" for each in files] if container_lists_nodes else []
        return "\n".join([*(f"device {each}" for each in files), "listed", *nodes])

    def _tries(self, script: str, held: tuple[Device, ...], container: str) -> str:
        lines = []
        for major, minor in _MADE.findall(script):
            label = f"{major}:{minor}"
            opened = self.opens(label, held, container)
            lines.append(f"try {label} {f'opened {self.reads(label)}' if opened else 'refused not permitted'}")
        return "\n".join(lines)

    def _described(self, pod: Pod, held: tuple[Device, ...]) -> str:
        kind = self.kind_of_file()
        lines = [
            f"device /dev/plimsoll/{each.name} {kind}|{_MAJOR:x}|{each.minor:x}|{self.reads_block(each)}|64"
            for each in held
        ]
        if "is /'" in pod.script:
            lines += [f"is {each.uuid}" for each in held]
        if 'echo "version ' in pod.script:
            lines.append(f"version {self.version}")
        return "\n".join([*lines, "listed"])

    def reads_block(self, device: Device) -> str:
        """The digest of what a holder reads from its device."""
        return device.digest


def allocated(claim: Manifest) -> list[str]:
    """The names of the devices that a claim has."""
    results = (claim.get("status") or {}).get("allocation", {}).get("devices", {}).get("results", [])
    return [each["device"] for each in results]


def publish(scene: Scene, *, resources: Mapping[str, int], claimed: tuple[Device, ...] = CLAIMED) -> None:
    """The node with its resources, and the slices and classes of its driver."""
    scene.cluster.add_node(NODE, cpu="64", extended=dict(resources))
    if not claimed:
        return
    for name in dict.fromkeys(each.of_class for each in claimed):
        scene.cluster.put({"apiVersion": DRA, "kind": "DeviceClass", "metadata": {"name": name}, "spec": {}})
    spec = {"driver": DRIVER, "nodeName": NODE, "pool": {"name": NODE}, "devices": [*map(_published, claimed)]}
    scene.cluster.put({"apiVersion": DRA, "kind": "ResourceSlice", "metadata": {"name": "slice"}, "spec": spec})


def _published(device: Device) -> Manifest:
    attributes = {"uuid": {"string": device.uuid}, "driverVersion": {"version": VERSION}}
    counters = [{"counterSet": device.body, "counters": {"parts": {"value": str(device.cost)}}}] if device.body else []
    return {
        "name": device.name,
        "attributes": attributes,
        "allowMultipleAllocations": device.slots > 1,
        "consumesCounters": counters,
    }
