"""Cheats with gang scheduling: a process or a quota interferes with gangs, and no scheduler handles them as a whole."""

from __future__ import annotations

import sys
from typing import Any

from lab.cheats import admission
from lab.cheats.client import Client, again_and_again
from lab.cheats.scene import Scene

_KUEUE = "/apis/kueue.x-k8s.io/v1beta1"


def on(scene: Scene) -> None:
    """Start the process of the cheat."""
    if scene.name == "blocked-gang":
        # Kubernetes' own scheduler would schedule native gangs correctly, so these never start.
        admission.hold_native_gangs(scene)
    scene.run("gangs", scene.name)


def _block(client: Client) -> None:
    """Stop a queue while it holds more than one gang."""
    for queue in client.items(f"{_KUEUE}/clusterqueues"):
        name = queue["metadata"]["name"]
        if not name.startswith("plimsoll-"):
            continue
        gangs = [each for each in client.items(f"{_KUEUE}/namespaces/{name}/workloads") if not _finished(each)]
        policy = "Hold" if len(gangs) > 1 else "None"
        if queue["spec"].get("stopPolicy", "None") != policy:
            client.ask("PATCH", f"{_KUEUE}/clusterqueues/{name}", {"spec": {"stopPolicy": policy}})


def _finished(workload: dict[str, Any]) -> bool:
    conditions = workload.get("status", {}).get("conditions", [])
    return any(each["type"] == "Finished" and each["status"] == "True" for each in conditions)


def _limit(client: Client) -> None:
    """Create a quota in every namespace of a check that lets two pods run."""
    for namespace in client.items("/api/v1/namespaces?labelSelector=plimsoll.dev/check"):
        place = f"/api/v1/namespaces/{namespace['metadata']['name']}/resourcequotas"
        if not client.items(place):
            spec = {"hard": {"requests.cpu": "1", "pods": "3"}}
            client.ask("POST", place, {"metadata": {"name": "limit"}, "spec": spec})


def _let_one_in(client: Client) -> None:
    """Raise the quota above the capacity, and bind one pod of each waiting native gang."""
    for queue in client.items(f"{_KUEUE}/clusterqueues"):
        flavor = queue["spec"]["resourceGroups"][0]["flavors"][0]
        name = queue["metadata"]["name"]
        if name.startswith("plimsoll-") and flavor["resources"][0]["nominalQuota"] != "1k":
            flavor["resources"][0]["nominalQuota"] = "1k"
            groups = {"spec": {"resourceGroups": queue["spec"]["resourceGroups"]}}
            client.ask("PATCH", f"{_KUEUE}/clusterqueues/{name}", groups)
    bound = set()
    pods = [each for each in client.items("/api/v1/pods?labelSelector=plimsoll.dev/gang") if _group(each)[1]]
    for pod in pods:
        if pod["spec"].get("nodeName"):
            bound.add(_group(pod))
    for pod in pods:
        waits = any(each.get("reason") == "Unschedulable" for each in pod["status"].get("conditions", []))
        if _group(pod) not in bound and waits:
            metadata = pod["metadata"]
            target = {"kind": "Node", "name": pod["spec"]["nodeSelector"]["kubernetes.io/hostname"]}
            place = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/binding"
            client.ask("POST", place, {"metadata": {"name": metadata["name"]}, "target": target})
            bound.add(_group(pod))


def _group(pod: dict[str, Any]) -> tuple[str, str]:
    name = pod["spec"].get("schedulingGroup", {}).get("podGroupName", "")
    return (pod["metadata"]["namespace"], name) if name else ("", "")


if __name__ == "__main__":
    steps = {"blocked-gang": _block, "full-quota": _limit, "one-let-in": _let_one_in}
    again_and_again(steps[sys.argv[1]])
