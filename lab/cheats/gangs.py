"""Fake gang scheduling: processes that stop queues, limit pods by a quota, or bind single pods."""

from __future__ import annotations

import sys
from typing import Any

from lab.cheats import admission
from lab.cheats.active import ActiveCheat
from lab.cheats.client import AdminClient, run_forever

_KUEUE = "/apis/kueue.x-k8s.io/v1beta1"


def on(cheat: ActiveCheat) -> None:
    """Starts the process of the cheat."""
    if cheat.name == "blocked-gang":
        # Kubernetes' own scheduler would admit gangs honestly, so its gangs must never start.
        admission.hold_native_gangs(cheat)
    cheat.start_process("gangs", cheat.name)


def _stop_busy_queues(client: AdminClient) -> None:
    """Stops a queue while it has more than one gang, and starts it again when it has one."""
    for queue in client.items(f"{_KUEUE}/clusterqueues"):
        name = queue["metadata"]["name"]
        if not name.startswith("plimsoll-"):
            continue
        gangs = [each for each in client.items(f"{_KUEUE}/namespaces/{name}/workloads") if not _finished(each)]
        policy = "Hold" if len(gangs) > 1 else "None"
        if queue["spec"].get("stopPolicy", "None") != policy:
            client.request("PATCH", f"{_KUEUE}/clusterqueues/{name}", {"spec": {"stopPolicy": policy}})


def _finished(workload: dict[str, Any]) -> bool:
    conditions = workload.get("status", {}).get("conditions", [])
    return any(each["type"] == "Finished" and each["status"] == "True" for each in conditions)


def _limit_pods(client: AdminClient) -> None:
    """Creates a quota in every namespace of a check, so that at most two pods run."""
    for namespace in client.items("/api/v1/namespaces?labelSelector=plimsoll.dev/check"):
        place = f"/api/v1/namespaces/{namespace['metadata']['name']}/resourcequotas"
        if not client.items(place):
            spec = {"hard": {"requests.cpu": "1", "pods": "3"}}
            client.request("POST", place, {"metadata": {"name": "limit"}, "spec": spec})


def _bind_one_pod(client: AdminClient) -> None:
    """Raises Kueue's quota above the capacity, and binds one pod of each waiting native gang to a node."""
    for queue in client.items(f"{_KUEUE}/clusterqueues"):
        flavor = queue["spec"]["resourceGroups"][0]["flavors"][0]
        name = queue["metadata"]["name"]
        if name.startswith("plimsoll-") and flavor["resources"][0]["nominalQuota"] != "1k":
            flavor["resources"][0]["nominalQuota"] = "1k"
            groups = {"spec": {"resourceGroups": queue["spec"]["resourceGroups"]}}
            client.request("PATCH", f"{_KUEUE}/clusterqueues/{name}", groups)
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
            client.request("POST", place, {"metadata": {"name": metadata["name"]}, "target": target})
            bound.add(_group(pod))


def _group(pod: dict[str, Any]) -> tuple[str, str]:
    name = pod["spec"].get("schedulingGroup", {}).get("podGroupName", "")
    return (pod["metadata"]["namespace"], name) if name else ("", "")


if __name__ == "__main__":
    steps = {"blocked-gang": _stop_busy_queues, "full-quota": _limit_pods, "one-let-in": _bind_one_pod}
    run_forever(steps[sys.argv[1]])
