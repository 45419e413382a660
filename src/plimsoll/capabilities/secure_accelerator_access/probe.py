"""Attacks from pods that hold an accelerator, and from one that holds none."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

from plimsoll.capabilities.facts import Accelerators, ClusterFacts
from plimsoll.capabilities.hardware import Hardware
from plimsoll.capabilities.probe_namespace import RESTRICTED, ProbeNamespace
from plimsoll.evidence.verdict import Verdict, environment_error, unknown
from plimsoll.kubernetes.api import Manifest

_START_LIMIT = 120.0
# A kubelet brings a changed config map into a pod within a minute or so.
_END_LIMIT = 170.0
_FOLDER = "/tmp/made"  # noqa: S108  # in a pod of our own
# A root without other privileges: the runtime's default rights include making device nodes, and the kernel's device
# control group is what has to hold. A restricted pod could not even try.
_ATTACKER: Manifest = {
    "runAsUser": 0,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"], "add": ["MKNOD", "DAC_OVERRIDE"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """A cluster without known accelerators cannot be judged."""
    if places := _places(facts):
        if full := [each for each in places if each.resource and facts.free(each) < 2]:
            return environment_error(
                f"{facts.free(full[0])} of {full[0].resource} are free on {full[0].node}, two are needed",
                "end pods that hold them, or add a node",
            )
        return None
    return unknown(
        "no node has two free accelerators of a kind that is known",
        "connect a node with at least two accelerators, or report the hardware that it has",
    )


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """The attack by way of the device plugin and by way of DRA, where there are both."""
    ns.create("baseline")
    for place in _places(facts):
        _attack(ns, place)


def _places(facts: ClusterFacts) -> list[Accelerators]:
    """One node with two devices for each way of giving them out."""
    ready = {node["name"] for node in facts.nodes if node["ready"] and node["schedulable"]}
    fit = [each for each in facts.accelerators if each.hardware and each.count >= 2 and each.node in ready]
    return [next(each for each in ways) for ways in (_of(fit, "resource"), _of(fit, "driver")) if ways]


def _of(fit: list[Accelerators], way: str) -> list[Accelerators]:
    return [each for each in fit if getattr(each, way)]


def _attack(ns: ProbeNamespace, place: Accelerators) -> None:
    hardware = place.hardware
    if hardware is None:
        return
    way = "device-plugin" if place.resource else "dra"
    ns.note("way", way=way, node=place.node, name=place.resource or place.driver, hardware=hardware.name)
    holders = [f"{way}-holder-{number}" for number in (1, 2)]
    for name in holders:
        _holder(ns, name, place, hardware)
    started = all(_waited(ns, name) for name in holders)
    held = {name: _held(ns, name) or [] for name in holders}
    for name in holders:
        ns.note("held", way=way, pod=name, node=_node(ns, name), devices=held[name])
    if started:
        everyone = [device for devices in held.values() for device in devices]
        for name, own in held.items():
            # All at once: a kubelet takes its time to bring them.
            _order(ns, name, own + [device for device in everyone if device not in own])
        for name in held:
            _tried(ns, name)
        _thief(ns, f"{way}-without", place, hardware, everyone)
    for name in holders:
        ns.api.delete("v1", "Pod", name, ns.name, grace=1)
    ns.wait(f"the release of {way}'s devices", lambda: not any(ns.phase(name) for name in holders), _END_LIMIT)


def _waited(ns: ProbeNamespace, name: str) -> bool:
    return bool(ns.wait(f"{name} to hold a device", lambda: _held(ns, name), _START_LIMIT))


def _holder(ns: ProbeNamespace, name: str, place: Accelerators, hardware: Hardware) -> None:
    """A pod that holds a device, lists its device files, and then tries what it is told through a config map."""
    container: dict[str, Any] = {"securityContext": _ATTACKER}
    spec: dict[str, Any] = {"nodeSelector": {"kubernetes.io/hostname": place.node}}
    if place.resource:
        container["resources"] = {"limits": {place.resource: "1"}}
    else:
        ns.apply(_claim(name, hardware))
        container["resources"] = {"claims": [{"name": "device"}]}
        spec["resourceClaims"] = [{"name": "device", "resourceClaimName": name}]
    # A sibling without the claim in the same pod, which must see no more than a stranger.
    sibling = ns.container(_LISTEN.format(list=_list(hardware)), securityContext=_ATTACKER, name="sibling")
    main = ns.container(_LISTEN.format(list=_list(hardware)), **container)
    volume = {"name": "orders", "configMap": {"name": name, "optional": True}}
    for each in (main, sibling):
        each["volumeMounts"] = [{"name": "orders", "mountPath": "/orders"}]
    manifest = ns.pod_manifest(name, tolerations=[{"operator": "Exists"}], volumes=[volume], **spec)
    manifest["spec"]["containers"] = [main, sibling]
    ns.apply(manifest)


def _claim(name: str, hardware: Hardware) -> Manifest:
    exactly = {"deviceClassName": hardware.classes[0], "count": 1}
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": name},
        "spec": {"devices": {"requests": [{"name": "device", "exactly": exactly}]}},
    }


# Prints its device files with type and numbers, and every device node wherever it lies and whatever it is called; then
# waits for orders and prints how each went.
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


def _held(ns: ProbeNamespace, name: str) -> list[dict[str, Any]]:
    """Devices that a pod sees: path, type and numbers; empty while it does not run."""
    if ns.phase(name) != "Running":
        return []
    return listed(ns.log(name))


def listed(log: str, word: str = "device ") -> list[dict[str, Any]]:
    """The devices of a log that lists them; with `node `, every device node that there is."""
    if "listed" not in log.splitlines():
        return []
    found = []
    for line in log.splitlines():
        if line.startswith(word):
            path, _, rest = line.removeprefix(word).partition(" ")
            kind, major, minor = rest.split("|")
            numbers = {"major": int(major, 16), "minor": int(minor, 16)}
            found.append({"path": path, "block": "block" in kind, "character": "character" in kind, **numbers})
    return found


def _orders(devices: list[dict[str, Any]]) -> str:
    """A shell script that opens each device by a node of its own making, and says how it went."""
    lines = [f"mkdir -p {_FOLDER}"]
    for number, each in enumerate(devices):
        kind = "b" if each["block"] else "c"
        label = f"{each['major']}:{each['minor']}"
        made = f"{_FOLDER}/{number}"
        lines.append(
            f"if ! mknod {made} {kind} {each['major']} {each['minor']} 2>/tmp/why; "
            f'then echo "try {label} not-made $(cat /tmp/why)"; '
            # Opening is what must not be possible, for reading or for writing; not every device can be read.
            f"elif (exec 3<{made}) 2>/tmp/why || (exec 3>>{made}) 2>/dev/null; "
            f"then dd if={made} of=/tmp/read bs=4096 count=1 2>/dev/null; "
            f'echo "try {label} opened $(sha256sum < /tmp/read | cut -c 1-64) $(tr -d "\\000" < /tmp/read | wc -c)"; '
            f'else echo "try {label} refused $(tail -n 1 /tmp/why)"; fi'
        )
    return "\n".join(lines) + "\n"


def _order(ns: ProbeNamespace, name: str, devices: list[dict[str, Any]]) -> None:
    metadata = {"name": name}
    ns.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"list": _orders(devices)}})


def _tried(ns: ProbeNamespace, name: str) -> None:
    for container in ("main", "sibling"):
        ns.wait(
            f"what {container} of {name} could open",
            partial(_done, ns, name, container),
            _END_LIMIT,
        )
        log = ns.log(name, container)
        ns.note("tried", pod=name, container=container, sees=_sees(log), tries=tries(log))


def _sees(log: str) -> list[dict[str, Any]]:
    return [*listed(log), *listed(log, "node ")]


def _done(ns: ProbeNamespace, name: str, container: str) -> bool:
    return "done" in ns.log(name, container).splitlines()


def tries(log: str) -> dict[str, str]:
    """How each attempt went: opened, refused or not-made, with the reason's first words or the content's digest."""
    found = {}
    for line in log.splitlines():
        if line.startswith("try "):
            _, label, result = line.split(" ", 2)
            found[label] = result[:160]
    return found


def _thief(
    ns: ProbeNamespace, name: str, place: Accelerators, hardware: Hardware, devices: list[dict[str, Any]]
) -> None:
    """A pod that asks for nothing, on the same node, and tries everything."""
    variables = [{"name": each, "value": value} for each in hardware.variables for value in ("all",)]
    script = f"{_SHOW.format(list=_list(hardware))}\n{_orders(devices)}echo done\n"
    container = {"securityContext": _ATTACKER, "env": variables}
    # By name and not by a selector: the scheduler is not asked, so that a full node is no excuse.
    ns.pod(name, script, container=container, nodeName=place.node, tolerations=[{"operator": "Exists"}])
    ns.wait_for_end(name, _END_LIMIT)
    log = ns.log(name) if ns.phase(name) == "Succeeded" else ""
    ns.note("tried", pod=name, container="main", node=_node(ns, name), sees=_sees(log), tries=tries(log))
    # The restricted level is what an ordinary tenant has: recorded as information.
    unprivileged = f"{name}-restricted-{secrets.token_hex(2)}"
    ns.pod(unprivileged, script, container={"securityContext": RESTRICTED, "env": variables}, nodeName=place.node)
    ns.wait_for_end(unprivileged, _END_LIMIT)


def _node(ns: ProbeNamespace, name: str) -> str:
    return str(ns.get("v1", "Pod", name)["spec"].get("nodeName", ""))
