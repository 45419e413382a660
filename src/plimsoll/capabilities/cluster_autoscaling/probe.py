"""A pod that no present node of a pool can take."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.hardware import HARDWARE
from plimsoll.capabilities.monitoring import CONTROL_PORT, run_script
from plimsoll.capabilities.probe_namespace import ProbeNamespace, pod_fields
from plimsoll.evidence.verdict import Verdict, not_applicable, unknown
from plimsoll.kubernetes.api import Manifest

_UP_LIMIT = 900.0
_DOWN_LIMIT = 1200.0
_OUTPUT_LIMIT = 60.0
_PODS = 12
_AUTOSCALERS = ("cluster-autoscaler", "karpenter", "clusterapi", "autoscaler-azure", "gke-autoscaler")
KARPENTER_POOL = "karpenter.sh/nodepool"


def obstacle(facts: ClusterFacts) -> Verdict | None:
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


def _pools(facts: ClusterFacts) -> list[tuple[str, str]]:
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


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """The first pool that has accelerators."""
    ns.create()
    pool, resource = _pools(facts)[0]
    before = _nodes(ns, pool)
    ns.note("pool", name=pool, resource=resource, nodes=before)
    factors = [10_000 + secrets.randbelow(80_000) for _ in range(2)]
    script = (
        f"echo worked out $(({factors[0]}*{factors[1]})) on $(uname -n) up $(cut -d. -f1 /proc/uptime); "
        f"exec /agnhost netexec --http-port={CONTROL_PORT} --udp-port=-1"
    )
    waiting = _make_one_wait(ns, pool, resource, script)
    if waiting is None:
        return
    ns.note("waiting", pod=waiting, factors=factors)
    ns.wait("the pod to be called Running", lambda: ns.phase(waiting) == "Running", _UP_LIMIT)
    # A node that is called a node may be an object only: then there is nothing to be had of it however long one waits.
    said = ns.wait("the pod's output from the new node", lambda: "worked out" in ns.log(waiting), _OUTPUT_LIMIT)
    pod = ns.get("v1", "Pod", waiting)
    ns.note("ran", log=ns.log(waiting), **pod_fields(pod))
    _command(ns, pod["status"].get("podIP", ""))
    ns.note("grown", nodes=_nodes(ns, pool), events=_events(ns, waiting))
    if not said:
        # Decided already; how long an object that is called a node stays is no matter.
        return
    for each in ns.list("v1", "Pod"):
        ns.api.delete("v1", "Pod", each["metadata"]["name"], ns.name, grace=1)
    new = {uid for uid in _nodes(ns, pool) if uid not in before}
    ns.wait("the new nodes to go", lambda: not new & set(_nodes(ns, pool)), _DOWN_LIMIT)
    ns.note("shrunk", nodes=_nodes(ns, pool))


def _command(ns: ProbeNamespace, address: str) -> None:
    """Has the new node work out a product whose factors nobody knew when the pod was made, over the pods' network."""
    factors = [10_000 + secrets.randbelow(80_000) for _ in range(2)]
    order = f"cmd=echo answer $(({factors[0]}*{factors[1]})) by $(uname -n)"
    ask = f"curl -s -m 10 -G --data-urlencode '{order}' http://{address}:{CONTROL_PORT}/shell"
    ns.note("command", factors=factors, answer=run_script(ns, "command", ask) if address else "")


def _make_one_wait(ns: ProbeNamespace, pool: str, resource: str, script: str) -> str | None:
    """Fills what the pool has free, one pod at a time, until one has to wait. Gives its name."""
    for number in range(_PODS):
        name = f"pod-{number}"
        container = {"resources": {"limits": {resource: "1"}}}
        # The pool's taints are its own affair: its nodes are chosen by label.
        ns.pod(
            name, script, container=container, nodeSelector={KARPENTER_POOL: pool}, tolerations=[{"operator": "Exists"}]
        )
        ns.wait(f"a decision on {name}", partial(_decided, ns, name), 60)
        if not ns.get("v1", "Pod", name)["spec"].get("nodeName"):
            return name
    return None


def _decided(ns: ProbeNamespace, name: str) -> bool:
    pod = ns.get("v1", "Pod", name)
    return bool(pod["spec"].get("nodeName") or pod_fields(pod)["unscheduled"])


def _nodes(ns: ProbeNamespace, pool: str) -> dict[str, Manifest]:
    """The pool's nodes by UID, with what tells a machine from an object."""
    found = {}
    for each in ns.api.list("v1", "Node", selector=f"{KARPENTER_POOL}={pool}"):
        info = each["status"].get("nodeInfo", {})
        found[each["metadata"]["uid"]] = {
            "name": each["metadata"]["name"],
            "provider": each["spec"].get("providerID", ""),
            "boot": info.get("bootID", ""),
            "kubelet": info.get("kubeletVersion", ""),
            "annotations": [key for key in each["metadata"].get("annotations", {}) if "kwok" in key],
        }
    return found


def _events(ns: ProbeNamespace, pod: str) -> list[str]:
    """What was said of the pod, by whom."""
    found = []
    for each in ns.list("v1", "Event"):
        if each["involvedObject"].get("name") == pod:
            who = each.get("source", {}).get("component") or each.get("reportingComponent", "")
            found.append(f"{who}: {each.get('reason', '')}")
    return found
