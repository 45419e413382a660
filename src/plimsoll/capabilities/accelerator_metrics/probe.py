"""What exporters on a node with accelerators say, idle and under load."""

from __future__ import annotations

from typing import Any

from plimsoll.capabilities.facts import Accelerators, Facts
from plimsoll.capabilities.hardware import Hardware
from plimsoll.capabilities.monitoring import printed, samples
from plimsoll.capabilities.stage import Stage
from plimsoll.evidence.verdict import Verdict, unknown
from plimsoll.targets.kubernetes.api import Manifest

_LOAD_LIMIT = 60.0
# Ports that exporters of known hardware listen on when they declare none.
_USUAL_PORTS = (9400, 9401, 5000, 2112, 41611)
_DRIVER_RIGHTS: Manifest = {
    "runAsUser": 0,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"], "add": ["DAC_OVERRIDE"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def obstacle(facts: Facts) -> Verdict | None:
    """Names of metrics are known for known hardware only."""
    if _place(facts):
        return None
    return unknown("no node has accelerators of a known device plugin", "report the hardware that it has")


def _place(facts: Facts) -> Accelerators | None:
    fit = [each for each in facts.by_plugin() if each.hardware and each.hardware.utilization]
    return next(iter(fit), None)


def observe(stage: Stage, facts: Facts) -> None:
    """Find the exporters, scrape, load one device, scrape again."""
    place = _place(facts)
    if place is None or place.hardware is None:
        return
    hardware = place.hardware
    stage.open("privileged")
    expected = sum(each.count for each in facts.accelerators if each.node == place.node and each.hardware == hardware)
    stage.note(
        "expected",
        node=place.node,
        hardware=hardware.name,
        devices=expected,
        full=hardware.full,
        loadable=bool(hardware.load),
    )
    endpoints = _endpoints(stage, place.node)
    stage.note("endpoints", found=endpoints)
    live = [each for number, each in enumerate(endpoints) if _scrape(stage, each, hardware, f"look-{number}")]
    if not live:
        return
    _note(stage, live[0], hardware, "idle")
    if not hardware.load:
        stage.hold(10, lambda: None)
        _note(stage, live[0], hardware, "later")
        return
    _load(stage, place, hardware)
    began = stage.wait("the load to begin", lambda: stage.phase("load") == "Running", _LOAD_LIMIT)
    if began:
        stage.note("loaded", devices=stage.api.logs("load", stage.namespace, "main").split())
        stage.wait("utilization to rise", lambda: _risen(stage, live[0], hardware), _LOAD_LIMIT)
        _note(stage, live[0], hardware, "loaded")
    stage.api.delete("v1", "Pod", "load", stage.namespace, grace=1)


def _endpoints(stage: Stage, node: str) -> list[str]:
    """Addresses at which pods of the node may serve metrics."""
    found = []
    for pod in stage.api.list("v1", "Pod"):
        address = pod["status"].get("podIP")
        if pod["spec"].get("nodeName") != node or not address or pod["status"].get("phase") != "Running":
            continue
        annotations = pod["metadata"].get("annotations", {})
        path = annotations.get("prometheus.io/path", "/metrics")
        ports = {annotations[key] for key in ("prometheus.io/port",) if key in annotations}
        for container in pod["spec"]["containers"]:
            for port in container.get("ports", []):
                if "metric" in port.get("name", "") or port["containerPort"] in _USUAL_PORTS:
                    ports.add(str(port["containerPort"]))
        found += [f"http://{address}:{port}{path}" for port in sorted(ports)]
    return found


def _scrape(stage: Stage, endpoint: str, hardware: Hardware, name: str) -> list[dict[str, Any]]:
    names = (*hardware.utilization, *hardware.memory)
    pattern = "|".join(names)
    # Only the lines in question leave the cluster: other people's metrics are not ours to record.
    return samples(printed(stage, name, f"curl -s -m 10 '{endpoint}' | grep -E '^({pattern})'; true"), names)


def _note(stage: Stage, endpoint: str, hardware: Hardware, case: str) -> None:
    found = _scrape(stage, endpoint, hardware, f"scrape-{case}")
    series = [
        {
            "name": each["name"],
            "device": next((each["labels"][key] for key in hardware.identity if key in each["labels"]), ""),
            "value": each["value"],
            "utilization": each["name"] in hardware.utilization,
        }
        for each in found
    ]
    stage.note("scraped", case=case, endpoint=endpoint, series=series)


def _load(stage: Stage, place: Accelerators, hardware: Hardware) -> None:
    """Holds one device, prints who it is as the runtime told it, and uses it."""
    script = f"echo ${hardware.variables[0]} | tr , '\\n'; {hardware.load}"
    container = {"securityContext": _DRIVER_RIGHTS, "resources": {"limits": {place.resource: "1"}}}
    selector = {"kubernetes.io/hostname": place.node}
    stage.pod("load", script, container=container, nodeSelector=selector, tolerations=[{"operator": "Exists"}])


def _risen(stage: Stage, endpoint: str, hardware: Hardware) -> bool:
    values = [
        each["value"] or 0
        for each in _scrape(stage, endpoint, hardware, "rise")
        if each["name"] in hardware.utilization
    ]
    return max(values, default=0) > RISE * hardware.full


RISE = 0.3
