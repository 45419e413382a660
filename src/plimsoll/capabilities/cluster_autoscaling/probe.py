"""Creates a pod that no node of a pool has room for."""

from __future__ import annotations

import secrets
from functools import partial

from plimsoll.capabilities.cluster_autoscaling.records import (
    Commanded,
    Grown,
    PodRan,
    PodWaiting,
    Pool,
    PoolNode,
    Shrunk,
)
from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.hardware import HARDWARE
from plimsoll.capabilities.inventory_records import InstalledWorkload
from plimsoll.capabilities.monitoring import CONTROL_PORT, run_script
from plimsoll.capabilities.pods import pod_fields, unscheduled_message
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.evidence.verdict import Verdict, not_applicable, unknown
from plimsoll.kubernetes.api import Manifest

_UP_LIMIT = 900.0
_DOWN_LIMIT = 1200.0
_OUTPUT_LIMIT = 60.0
_REST_LIMIT = 180.0
_PODS = 12
_AUTOSCALERS = ("cluster-autoscaler", "karpenter", "clusterapi", "autoscaler-azure", "gke-autoscaler")
KARPENTER_POOL = "karpenter.sh/nodepool"
_REGISTERED, _INITIALIZED = "karpenter.sh/registered", "karpenter.sh/initialized"


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """The requirement needs an autoscaler; the probe can drive Karpenter only."""
    if _pools(facts):
        return None
    found = [f"{each.namespace}/{each.name}" for each in facts.workloads if _is_autoscaler(each)]
    if found:
        return unknown(
            f"there is the autoscaler {found[0]}, but no Karpenter node pool with accelerators",
            "plimsoll cannot test the pools of other autoscalers yet",
        )
    if facts.unreadable:
        return unknown(f"the caller may not read {', '.join(facts.unreadable)}: there may be an autoscaler")
    return not_applicable(
        "there is no autoscaler: no Karpenter node pool, and none among "
        f"{len(facts.workloads)} workloads ({', '.join(_AUTOSCALERS[:2])} or of Cluster API)"
    )


def _is_autoscaler(workload: InstalledWorkload) -> bool:
    words = f"{workload.name} {' '.join(workload.images)}"
    return any(name in words for name in _AUTOSCALERS)


def _pools(facts: ClusterFacts) -> list[tuple[str, str]]:
    """Node pools with the resource of a known accelerator, which their limits name or their nodes have."""
    known = {resource for each in HARDWARE for resource in each.resources}
    found = []
    for pool in facts.node_pools:
        of_nodes = {
            each.resource
            for each in facts.by_plugin()
            for node in facts.nodes
            if node.name == each.node and node.labels.get(KARPENTER_POOL) == pool.name
        }
        named = sorted((known & set(pool.limits)) | of_nodes)
        if named:
            found.append((pool.name, named[0]))
    return found


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Test the first pool with accelerators."""
    ns.create()
    pool, resource = _pools(facts)[0]
    ns.wait(f"the pool {pool} to be at rest", partial(_at_rest, ns, pool), _REST_LIMIT)
    before = _nodes(ns, pool)
    ns.note(Pool(name=pool, resource=resource, nodes=before))
    factors = _draw_factors()
    script = (
        f"echo worked out $(({factors[0]}*{factors[1]})) on $(uname -n) up $(cut -d. -f1 /proc/uptime); "
        f"exec /agnhost netexec --http-port={CONTROL_PORT} --udp-port=-1"
    )
    waiting = _waits_for_a_new_node(ns, pool, resource, script, before)
    if waiting is None:
        return
    ns.note(PodWaiting(pod=waiting, factors=factors))
    # A node that is only an object never answers, however long the probe waits.
    said = ns.wait("the pod's output from the new node", lambda: "worked out" in ns.log(waiting), _OUTPUT_LIMIT)
    pod = ns.get("v1", "Pod", waiting)
    ns.note(PodRan(**pod_fields(pod), log=ns.log(waiting)))
    _command(ns, pod["status"].get("podIP", ""))
    ns.note(Grown(nodes=_nodes(ns, pool), events=_events(ns, waiting)))
    if not said:
        # The verdict is decided: how long that node stays does not matter.
        return
    for each in ns.list("v1", "Pod"):
        ns.api.delete("v1", "Pod", each["metadata"]["name"], ns.name, grace=1)
    new = {uid for uid in _nodes(ns, pool) if uid not in before}
    ns.wait("the removal of the new nodes", lambda: not new & set(_nodes(ns, pool)), _DOWN_LIMIT)
    ns.note(Shrunk(nodes=_nodes(ns, pool)))


def _draw_factors() -> tuple[int, int]:
    return 10_000 + secrets.randbelow(80_000), 10_000 + secrets.randbelow(80_000)


def _command(ns: ProbeNamespace, address: str) -> None:
    """Ask the new node over the pods' network for a product whose factors are new."""
    factors = _draw_factors()
    order = f"cmd=echo answer $(({factors[0]}*{factors[1]})) by $(uname -n)"
    ask = f"curl -s -m 10 -G --data-urlencode '{order}' http://{address}:{CONTROL_PORT}/shell"
    ns.note(Commanded(factors=factors, answer=run_script(ns, "command", ask) if address else ""))


def _waits_for_a_new_node(
    ns: ProbeNamespace, pool: str, resource: str, script: str, before: dict[str, PoolNode]
) -> str | None:
    """Create pods until one has to wait, and wait until it runs. Returns its name; None when the pool has room for all.

    Another's pod may end in the meantime, so that the one that waits runs on a node that was there before; such a pod
    shows nothing, and the next one is tried.
    """
    old = {each.name for each in before.values()}
    for number in range(_PODS):
        name = f"pod-{number}"
        container = {"resources": {"limits": {resource: "1"}}}
        # The node selector chooses the nodes, whatever taints they have.
        ns.pod(
            name, script, container=container, nodeSelector={KARPENTER_POOL: pool}, tolerations=[{"operator": "Exists"}]
        )
        ns.wait(f"a decision on {name}", partial(_decided, ns, name), 60)
        if ns.get("v1", "Pod", name)["spec"].get("nodeName"):
            continue
        ns.wait("the pod to be Running", partial(_runs, ns, name), _UP_LIMIT)
        if ns.get("v1", "Pod", name)["spec"].get("nodeName") not in old:
            return name
    return None


def _at_rest(ns: ProbeNamespace, pool: str) -> bool:
    """Whether no node of the pool is on its way in or out: such a one would be taken for one that the probe brought."""
    return all(_is_settled(each) for each in ns.api.list("v1", "Node", selector=f"{KARPENTER_POOL}={pool}"))


def _is_settled(node: Manifest) -> bool:
    labels = node["metadata"].get("labels", {})
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"].get("conditions", []))
    coming = _REGISTERED in labels and labels.get(_INITIALIZED) != "true"
    return ready and not coming and "deletionTimestamp" not in node["metadata"]


def _runs(ns: ProbeNamespace, name: str) -> bool:
    return ns.phase(name) == "Running"


def _decided(ns: ProbeNamespace, name: str) -> bool:
    pod = ns.get("v1", "Pod", name)
    return bool(pod["spec"].get("nodeName") or unscheduled_message(pod))


def _nodes(ns: ProbeNamespace, pool: str) -> dict[str, PoolNode]:
    """The pool's nodes by UID."""
    found = {}
    for each in ns.api.list("v1", "Node", selector=f"{KARPENTER_POOL}={pool}"):
        info = each["status"].get("nodeInfo", {})
        found[str(each["metadata"]["uid"])] = PoolNode(
            name=each["metadata"]["name"],
            provider=each["spec"].get("providerID", ""),
            boot=info.get("bootID", ""),
            kubelet=info.get("kubeletVersion", ""),
            annotations=tuple(key for key in each["metadata"].get("annotations", {}) if "kwok" in key),
        )
    return found


def _events(ns: ProbeNamespace, pod: str) -> tuple[str, ...]:
    """The reasons of the pod's events, each with its source."""
    found = []
    for each in ns.list("v1", "Event"):
        if each["involvedObject"].get("name") == pod:
            who = each.get("source", {}).get("component") or each.get("reportingComponent", "")
            found.append(f"{who}: {each.get('reason', '')}")
    return tuple(found)
