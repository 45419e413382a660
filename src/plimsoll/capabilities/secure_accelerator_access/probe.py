"""Attacks accelerators from pods that hold one, and from a pod that holds none."""

from __future__ import annotations

import secrets
from functools import partial

from plimsoll.capabilities.device_holders import resource_claim
from plimsoll.capabilities.facts import Accelerators, ClusterFacts
from plimsoll.capabilities.hardware import Hardware
from plimsoll.capabilities.pods import RESTRICTED
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.capabilities.secure_accelerator_access.records import AccessTried, DeviceFile, Held, WayTried
from plimsoll.evidence.verdict import Verdict, environment_error, unknown
from plimsoll.kubernetes.api import Manifest

_START_LIMIT = 120.0
# A kubelet updates a config map in a pod within about a minute.
_END_LIMIT = 170.0
_FOLDER = "/tmp/made"  # noqa: S108  # in a pod of the probe
# Root without other privileges: the runtime's default rights include making device nodes, so that only the kernel's
# device control group can refuse. A restricted pod could not even try.
_ATTACKER: Manifest = {
    "runAsUser": 0,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"], "add": ["MKNOD", "DAC_OVERRIDE"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """The probe needs two free accelerators of known hardware on one node."""
    if places := _places(facts):
        if full := [each for each in places if each.resource and facts.free(each) < 2]:
            return environment_error(
                f"{facts.free(full[0])} of {full[0].resource} are free on {full[0].node}, two are needed",
                "end pods that hold them, or add a node",
            )
        return None
    return unknown(
        "no node has two accelerators of a known kind",
        "connect a node with at least two accelerators, or report the hardware of the nodes",
    )


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Attack accelerators of the device plugin and of DRA, where the cluster has both."""
    ns.create("baseline")
    for place in _places(facts):
        _attack(ns, place)


def _places(facts: ClusterFacts) -> list[Accelerators]:
    """One node with two devices for each way of getting them: device plugin and DRA."""
    ready = {node.name for node in facts.nodes if node.ready and node.schedulable}
    fit = [each for each in facts.accelerators if each.hardware and each.count >= 2 and each.node in ready]
    by_plugin, by_claim = [each for each in fit if each.resource], [each for each in fit if each.driver]
    return [*by_plugin[:1], *by_claim[:1]]


def _attack(ns: ProbeNamespace, place: Accelerators) -> None:
    hardware = place.hardware
    if hardware is None:
        return
    way = "device-plugin" if place.resource else "dra"
    name = place.resource or place.driver
    ns.note(WayTried(way=way, node=place.node, name=name, hardware=hardware.name))
    holders = [f"{way}-holder-{number}" for number in (1, 2)]
    for name in holders:
        _make_holder(ns, name, place, hardware)
    started = all(_wait_for_device(ns, name) for name in holders)
    held = {name: _device_files(ns, name) for name in holders}
    for name in holders:
        ns.note(Held(way=way, pod=name, node=_node(ns, name), devices=tuple(held[name])))
    if started:
        everyone = [device for devices in held.values() for device in devices]
        for name, own in held.items():
            # All commands are in one config map, because a kubelet updates it slowly.
            _send_commands(ns, name, own + [device for device in everyone if device not in own])
        for name in held:
            _note_attempts(ns, name)
        _attack_as_stranger(ns, f"{way}-without", place, hardware, everyone)
    for name in holders:
        ns.api.delete("v1", "Pod", name, ns.name, grace=1)
    ns.wait(f"the release of {way}'s devices", lambda: not any(ns.phase(name) for name in holders), _END_LIMIT)


def _wait_for_device(ns: ProbeNamespace, name: str) -> bool:
    return bool(ns.wait(f"{name} to hold a device", lambda: _device_files(ns, name), _START_LIMIT))


def _make_holder(ns: ProbeNamespace, name: str, place: Accelerators, hardware: Hardware) -> None:
    """Create a pod that holds a device, lists its device files, and then runs the commands of a config map."""
    container: Manifest = {"securityContext": _ATTACKER}
    spec: Manifest = {"nodeSelector": {"kubernetes.io/hostname": place.node}}
    if place.resource:
        container["resources"] = {"limits": {place.resource: "1"}}
    else:
        ns.apply(resource_claim(name, hardware.classes[0]))
        container["resources"] = {"claims": [{"name": "device"}]}
        spec["resourceClaims"] = [{"name": "device", "resourceClaimName": name}]
    # A second container of the pod without the device, which must see no more than another pod.
    sibling = ns.container(_LISTEN.format(list=_list(hardware)), securityContext=_ATTACKER, name="sibling")
    main = ns.container(_LISTEN.format(list=_list(hardware)), **container)
    volume = {"name": "orders", "configMap": {"name": name, "optional": True}}
    for each in (main, sibling):
        each["volumeMounts"] = [{"name": "orders", "mountPath": "/orders"}]
    manifest = ns.pod_manifest(name, tolerations=[{"operator": "Exists"}], volumes=[volume], **spec)
    manifest["spec"]["containers"] = [main, sibling]
    ns.apply(manifest)


# Prints the device files of the hardware with type and numbers, and every device node of the container. Then waits for
# commands and prints the result of each.
_SHOW = """for f in {list}; do [ -e "$f" ] && stat -c 'device %n %F|%t|%T' "$f"; done; echo listed
find / \\( -path /proc -o -path /sys \\) -prune -o \\( -type b -o -type c \\) -print 2>/dev/null | while read -r f
do stat -c 'node %n %F|%t|%T' "$f"; done"""
_LISTEN = f"""
{_SHOW}
i=0; while [ ! -s /orders/list ] && [ $i -lt 360 ]; do sleep 0.5; i=$((i+1)); done
sh /orders/list; echo done
sleep 600
"""


def _list(hardware: Hardware) -> str:
    return " ".join(hardware.devices)


def _device_files(ns: ProbeNamespace, name: str) -> list[DeviceFile]:
    """The device files in a pod; empty while it does not run."""
    if ns.phase(name) != "Running":
        return []
    return listed(ns.log(name))


def listed(log: str, word: str = "device ") -> list[DeviceFile]:
    """The device files that a log lists; with the word `node `, every device node of the container."""
    if "listed" not in log.splitlines():
        return []
    found = []
    for line in log.splitlines():
        if line.startswith(word):
            path, _, rest = line.removeprefix(word).partition(" ")
            kind, major, minor = rest.split("|")
            found.append(
                DeviceFile(
                    path=path,
                    block="block" in kind,
                    character="character" in kind,
                    major=int(major, 16),
                    minor=int(minor, 16),
                )
            )
    return found


def _orders(devices: list[DeviceFile]) -> str:
    """A shell script that opens each device by a device node that it makes, and prints the result."""
    lines = [f"mkdir -p {_FOLDER}"]
    for number, each in enumerate(devices):
        kind = "b" if each.block else "c"
        made = f"{_FOLDER}/{number}"
        lines.append(
            f"if ! mknod {made} {kind} {each.major} {each.minor} 2>/tmp/why; "
            f'then echo "try {each.label} not-made $(cat /tmp/why)"; '
            # Opening must fail, for reading and for writing; not every device can be read.
            f"elif (exec 3<{made}) 2>/tmp/why || (exec 3>>{made}) 2>/dev/null; "
            f"then dd if={made} of=/tmp/read bs=4096 count=1 2>/dev/null; "
            f'echo "try {each.label} opened $(sha256sum < /tmp/read | cut -c 1-64)'
            ' $(tr -d "\\000" < /tmp/read | wc -c)"; '
            f'else echo "try {each.label} refused $(tail -n 1 /tmp/why)"; fi'
        )
    return "\n".join(lines) + "\n"


def _send_commands(ns: ProbeNamespace, name: str, devices: list[DeviceFile]) -> None:
    metadata = {"name": name}
    ns.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"list": _orders(devices)}})


def _note_attempts(ns: ProbeNamespace, name: str) -> None:
    for container in ("main", "sibling"):
        ns.wait(
            f"what {container} of {name} could open",
            partial(_done, ns, name, container),
            _END_LIMIT,
        )
        log = ns.log(name, container)
        ns.note(AccessTried(pod=name, container=container, sees=_sees(log), tries=tries(log)))


def _sees(log: str) -> tuple[DeviceFile, ...]:
    return (*listed(log), *listed(log, "node "))


def _done(ns: ProbeNamespace, name: str, container: str) -> bool:
    return "done" in ns.log(name, container).splitlines()


def tries(log: str) -> dict[str, str]:
    """The result of each attempt: opened, refused or not-made, with the beginning of the reason or a digest."""
    found = {}
    for line in log.splitlines():
        if line.startswith("try "):
            _, label, result = line.split(" ", 2)
            found[label] = result[:160]
    return found


def _attack_as_stranger(
    ns: ProbeNamespace, name: str, place: Accelerators, hardware: Hardware, devices: list[DeviceFile]
) -> None:
    """Attack from a pod on the same node that requests nothing."""
    variables = [{"name": each, "value": value} for each in hardware.variables for value in ("all",)]
    script = f"{_SHOW.format(list=_list(hardware))}\n{_orders(devices)}echo done\n"
    container = {"securityContext": _ATTACKER, "env": variables}
    # A node name bypasses the scheduler, so that a full node does not prevent the attack.
    ns.pod(name, script, container=container, nodeName=place.node, tolerations=[{"operator": "Exists"}])
    ns.wait_for_end(name, _END_LIMIT)
    log = ns.log(name) if ns.phase(name) == "Succeeded" else ""
    ns.note(AccessTried(pod=name, container="main", node=_node(ns, name), sees=_sees(log), tries=tries(log)))
    # An ordinary tenant has the restricted level: its result is recorded as information.
    unprivileged = f"{name}-restricted-{secrets.token_hex(2)}"
    ns.pod(unprivileged, script, container={"securityContext": RESTRICTED, "env": variables}, nodeName=place.node)
    ns.wait_for_end(unprivileged, _END_LIMIT)


def _node(ns: ProbeNamespace, name: str) -> str:
    return str(ns.get("v1", "Pod", name)["spec"].get("nodeName", ""))
