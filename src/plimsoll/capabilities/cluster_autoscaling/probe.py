"""A pod that no present node of a pool can take."""

from __future__ import annotations

import secrets
from typing import Any

from plimsoll.capabilities.facts import Facts
from plimsoll.capabilities.hardware import HARDWARE
from plimsoll.capabilities.monitoring import CONTROL_PORT, printed
from plimsoll.capabilities.probe_namespace import Stage, described
from plimsoll.evidence.verdict import Verdict, not_applicable, unknown
from plimsoll.kubernetes.api import Manifest

_UP_LIMIT = 900.0
_DOWN_LIMIT = 1200.0
_OUTPUT_LIMIT = 60.0
_PODS = 12
_AUTOSCALERS = ("cluster-autoscaler", "karpenter", "clusterapi", "autoscaler-azure", "gke-autoscaler")
KARPENTER_POOL = "karpenter.sh/nodepool"


def obstacle(facts: Facts) -> Verdict | None:
    """Where there is no autoscaler the condition does not hold; where one cannot be driven nothing can be said."""
    if _pools(facts):
        return None
    found = [f"{each['namespace']}/{each['name']}" for each in facts.deployments if _is_autoscaler(each)]
    if found:
        return unknown(
            f"there is {found[0]}, but no Karpenter node pool with accelerators by which it could be asked",
            "pools of other autoscalers cannot be tried yet",
        )
    if facts.unreadable:
        return unknown(f"whether there is an autoscaler cannot be seen: {', '.join(facts.unreadable)} may not be read")
    return not_applicable(
        "there is no autoscaler: no Karpenter node pool, and none among "
        f"{len(facts.deployments)} workloads ({', '.join(_AUTOSCALERS[:2])} or of Cluster API)"
    )


def _is_autoscaler(deployment: dict[str, Any]) -> bool:
    words = f"{deployment['name']} {' '.join(deployment['images'])}"
    return any(name in words for name in _AUTOSCALERS)


def _pools(facts: Facts) -> list[tuple[str, str]]:
    """Node pools with the resource of an accelerator that is known: named in its limits, or had by its nodes."""
    known = {resource for each in HARDWARE for resource in each.resources}
    found = []
    for pool in facts.node_pools:
        of_nodes = {
            each.resource
            for each in facts.by_plugin()
            for node in facts.nodes
            if node["name"] == each.node and node["labels"].get(KARPENTER_POOL) == pool["name"]
        }
        named = sorted((known & set(pool["limits"])) | of_nodes)
        if named:
            found.append((pool["name"], named[0]))
    return found


def observe(stage: Stage, facts: Facts) -> None:
    """The first pool that has accelerators."""
    stage.open()
    pool, resource = _pools(facts)[0]
    before = _nodes(stage, pool)
    stage.note("pool", name=pool, resource=resource, nodes=before)
    factors = [10_000 + secrets.randbelow(80_000) for _ in range(2)]
    script = (
        f"echo worked out $(({factors[0]}*{factors[1]})) on $(uname -n) up $(cut -d. -f1 /proc/uptime); "
        f"exec /agnhost netexec --http-port={CONTROL_PORT} --udp-port=-1"
    )
    waiting = _make_one_wait(stage, pool, resource, script)
    if waiting is None:
        return
    stage.note("waiting", pod=waiting, factors=factors)
    stage.wait("the pod to be called Running", lambda: stage.phase(waiting) == "Running", _UP_LIMIT)
    # A node that is called a node may be an object only: then there is nothing to be had of it however long one waits.
    said = stage.wait("the pod's output from the new node", lambda: "worked out" in stage.log(waiting), _OUTPUT_LIMIT)
    pod = stage.get("v1", "Pod", waiting)
    stage.note("ran", log=stage.log(waiting), **described(pod))
    _command(stage, pod["status"].get("podIP", ""))
    stage.note("grown", nodes=_nodes(stage, pool), events=_events(stage, waiting))
    if not said:
        # Decided already; how long an object that is called a node stays is no matter.
        return
    for each in stage.list("v1", "Pod"):
        stage.api.delete("v1", "Pod", each["metadata"]["name"], stage.namespace, grace=1)
    new = {uid for uid in _nodes(stage, pool) if uid not in before}
    stage.wait("the new nodes to go", lambda: not new & set(_nodes(stage, pool)), _DOWN_LIMIT)
    stage.note("shrunk", nodes=_nodes(stage, pool))


def _command(stage: Stage, address: str) -> None:
    """Has the new node work out a product whose factors nobody knew when the pod was made, over the pods' network."""
    factors = [10_000 + secrets.randbelow(80_000) for _ in range(2)]
    order = f"cmd=echo answer $(({factors[0]}*{factors[1]})) by $(uname -n)"
    ask = f"curl -s -m 10 -G --data-urlencode '{order}' http://{address}:{CONTROL_PORT}/shell"
    stage.note("command", factors=factors, answer=printed(stage, "command", ask) if address else "")


def _make_one_wait(stage: Stage, pool: str, resource: str, script: str) -> str | None:
    """Fills what the pool has free, one pod at a time, until one has to wait. Gives its name."""
    for number in range(_PODS):
        name = f"pod-{number}"
        container = {"resources": {"limits": {resource: "1"}}}
        # The pool's taints are its own affair: its nodes are chosen by label.
        stage.pod(
            name, script, container=container, nodeSelector={KARPENTER_POOL: pool}, tolerations=[{"operator": "Exists"}]
        )
        stage.wait(f"a decision on {name}", lambda name=name: _decided(stage, name), 60)  # type: ignore[misc]
        if not stage.get("v1", "Pod", name)["spec"].get("nodeName"):
            return name
    return None


def _decided(stage: Stage, name: str) -> bool:
    pod = stage.get("v1", "Pod", name)
    return bool(pod["spec"].get("nodeName") or described(pod)["unscheduled"])


def _nodes(stage: Stage, pool: str) -> dict[str, Manifest]:
    """The pool's nodes by UID, with what tells a machine from an object."""
    found = {}
    for each in stage.api.list("v1", "Node", selector=f"{KARPENTER_POOL}={pool}"):
        info = each["status"].get("nodeInfo", {})
        found[each["metadata"]["uid"]] = {
            "name": each["metadata"]["name"],
            "provider": each["spec"].get("providerID", ""),
            "boot": info.get("bootID", ""),
            "kubelet": info.get("kubeletVersion", ""),
            "annotations": [key for key in each["metadata"].get("annotations", {}) if "kwok" in key],
        }
    return found


def _events(stage: Stage, pod: str) -> list[str]:
    """What was said of the pod, by whom."""
    found = []
    for each in stage.list("v1", "Event"):
        if each["involvedObject"].get("name") == pod:
            who = each.get("source", {}).get("component") or each.get("reportingComponent", "")
            found.append(f"{who}: {each.get('reason', '')}")
    return found
