"""Cheats with node autoscaling: nodes that exist only as objects, or nodes that are never removed."""

from __future__ import annotations

import secrets
import sys
from datetime import UTC, datetime
from typing import Any

from lab import machines
from lab.addons import catalogue
from lab.cheats.client import Client, again_and_again
from lab.cheats.scene import LABEL, Scene
from lab.kubectl import kubectl

_POOL = "karpenter.sh/nodepool"
_AUTOSCALER = "autoscaler"


def on(scene: Scene) -> None:
    """Stop Karpenter's pool from shrinking, or replace Karpenter by a process that creates node objects."""
    if scene.name == "staying-nodes":
        scene.change("nodepool", "accelerated", {"spec": {"disruption": {"consolidateAfter": "Never"}}})
        return
    scene.folder.mkdir(parents=True, exist_ok=True)
    machines.stop(_AUTOSCALER)
    scene.run("nodes", scene.name)


def off(scene: Scene) -> None:
    """Delete the node objects and restore Karpenter."""
    if scene.name != "staying-nodes":
        kubectl("delete", "nodes", f"-l{LABEL}", "--wait=false")
    catalogue.repair(_AUTOSCALER)


def _step(client: Client, *, running: bool) -> None:
    nodes = {each["metadata"]["name"]: each for each in client.items(f"/api/v1/nodes?labelSelector={LABEL}")}
    pods = client.items("/api/v1/pods")
    waiting = [
        each for each in pods if _POOL in each["spec"].get("nodeSelector", {}) and not each["spec"].get("nodeName")
    ]
    mine = [each for each in pods if each["spec"].get("nodeName") in nodes]
    if waiting and not nodes:
        _make(client, waiting[0]["spec"]["nodeSelector"][_POOL])
    for name in nodes:
        client.ask("PATCH", f"/api/v1/nodes/{name}/status", {"status": _status()})
    for pod in mine:
        place = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
        if pod["metadata"].get("deletionTimestamp"):
            client.ask("DELETE", place, {"gracePeriodSeconds": 0})
        elif running and pod["status"].get("phase") == "Pending":
            client.ask("PATCH", f"{place}/status", {"status": _running(pod)})
    if nodes and not waiting and all(_is_daemon(pod) for pod in mine):
        for name in nodes:
            client.ask("DELETE", f"/api/v1/nodes/{name}")


def _is_daemon(pod: dict[str, Any]) -> bool:
    return any(each["kind"] == "DaemonSet" for each in pod["metadata"].get("ownerReferences", []))


def _make(client: Client, pool: str) -> None:
    name = f"phantom-{secrets.token_hex(3)}"
    labels = {_POOL: pool, LABEL: "nodes", "kubernetes.io/hostname": name, "plimsoll.dev/accelerator": "true"}
    metadata = {"name": name, "labels": labels}
    client.ask("POST", "/api/v1/nodes", {"metadata": metadata, "spec": {"providerID": f"lab://{name}"}})
    client.ask("PATCH", f"/api/v1/nodes/{name}/status", {"status": _status()})


def _status() -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    has = {"cpu": "4", "memory": "8Gi", "pods": "110", "plimsoll.dev/accelerator": "2"}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "", "lastHeartbeatTime": now}
    info = dict.fromkeys(("machineID", "systemUUID", "kernelVersion", "osImage", "kubeProxyVersion"), "")
    info |= {"bootID": "0", "containerRuntimeVersion": "containerd://2", "kubeletVersion": "v1.37.2"}
    info |= {"operatingSystem": "linux", "architecture": "amd64"}
    return {
        "capacity": has,
        "allocatable": has,
        "conditions": [{**ready, "lastTransitionTime": now}],
        "nodeInfo": info,
        "addresses": [{"type": "InternalIP", "address": "10.88.200.200"}],
    }


def _running(pod: dict[str, Any]) -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    containers = [
        {
            "name": each["name"],
            "image": each["image"],
            "imageID": "",
            "containerID": "containerd://0",
            "ready": True,
            "started": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": now}},
        }
        for each in pod["spec"]["containers"]
    ]
    conditions = [
        {"type": kind, "status": "True"} for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    ]
    address = {"podIP": "10.244.250.9", "podIPs": [{"ip": "10.244.250.9"}]}
    return {"phase": "Running", "containerStatuses": containers, "conditions": conditions, **address}


if __name__ == "__main__":
    again_and_again(lambda client: _step(client, running=sys.argv[1] == "phantom-nodes"))
