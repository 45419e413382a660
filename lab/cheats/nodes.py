"""An autoscaler whose nodes are objects only, or are never removed."""

from __future__ import annotations

import secrets
import sys
from datetime import UTC, datetime
from typing import Any

from lab import machines
from lab.addons import catalogue
from lab.cheats.active import LABEL, ActiveCheat
from lab.cheats.client import AdminClient, run_forever
from lab.kubectl import kubectl

_POOL = "karpenter.sh/nodepool"
_AUTOSCALER = "autoscaler"


def on(cheat: ActiveCheat) -> None:
    """Stops Karpenter's pool from shrinking, or stops Karpenter and starts a process that creates node objects."""
    if cheat.name == "staying-nodes":
        cheat.patch("nodepool", "accelerated", {"spec": {"disruption": {"consolidateAfter": "Never"}}})
        return
    cheat.folder.mkdir(parents=True, exist_ok=True)
    machines.stop(_AUTOSCALER)
    cheat.start_process("nodes", cheat.name)


def off(cheat: ActiveCheat) -> None:
    """Deletes the node objects and starts Karpenter again."""
    if cheat.name != "staying-nodes":
        kubectl("delete", "nodes", f"-l{LABEL}", "--wait=false")
    catalogue.repair(_AUTOSCALER)


def _pretend(client: AdminClient, *, running: bool) -> None:
    nodes = {each["metadata"]["name"]: each for each in client.items(f"/api/v1/nodes?labelSelector={LABEL}")}
    pods = client.items("/api/v1/pods")
    waiting = [
        each for each in pods if _POOL in each["spec"].get("nodeSelector", {}) and not each["spec"].get("nodeName")
    ]
    mine = [each for each in pods if each["spec"].get("nodeName") in nodes]
    if waiting and not nodes:
        _create_node(client, waiting[0]["spec"]["nodeSelector"][_POOL])
    for name in nodes:
        client.request("PATCH", f"/api/v1/nodes/{name}/status", {"status": _status()})
    for pod in mine:
        place = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
        if pod["metadata"].get("deletionTimestamp"):
            client.request("DELETE", place, {"gracePeriodSeconds": 0})
        elif running and pod["status"].get("phase") == "Pending":
            client.request("PATCH", f"{place}/status", {"status": _running(pod)})
    if nodes and not waiting and all(_belongs_to_daemon_set(pod) for pod in mine):
        for name in nodes:
            client.request("DELETE", f"/api/v1/nodes/{name}")


def _belongs_to_daemon_set(pod: dict[str, Any]) -> bool:
    return any(each["kind"] == "DaemonSet" for each in pod["metadata"].get("ownerReferences", []))


def _create_node(client: AdminClient, pool: str) -> None:
    name = f"phantom-{secrets.token_hex(3)}"
    labels = {_POOL: pool, LABEL: "nodes", "kubernetes.io/hostname": name, "plimsoll.dev/accelerator": "true"}
    metadata = {"name": name, "labels": labels}
    client.request("POST", "/api/v1/nodes", {"metadata": metadata, "spec": {"providerID": f"lab://{name}"}})
    client.request("PATCH", f"/api/v1/nodes/{name}/status", {"status": _status()})


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
    run_forever(lambda client: _pretend(client, running=sys.argv[1] == "phantom-nodes"))
