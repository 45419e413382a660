"""The scheduler: a node for each pod, by room, selectors and taints, or the reason why there is none."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from plimsoll.kubernetes.memory.controllers.loop import World
from plimsoll.kubernetes.memory.controllers.owning import condition, is_leaving, is_over, is_true, with_conditions
from plimsoll.kubernetes.memory.hand import Hand
from plimsoll.kubernetes.memory.refusals import Manifest
from plimsoll.kubernetes.quantities import number

Room = dict[str, Fraction]


class PodScheduler:
    """Puts pods of the default scheduler on the first node that takes them."""

    kinds = frozenset({("", "pods"), ("", "nodes")})

    def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
        """Place a new pod; after the end of one, or a change of a node, all that wait."""
        if found["kind"] == "Pod" and not gone and not is_over(found):
            _place(world.hand, found)
            return
        for pod in world.hand.list("v1", "Pod"):
            _place(world.hand, pod)


def _place(hand: Hand, pod: Manifest) -> None:
    spec = pod["spec"]
    waits = spec.get("nodeName") or spec.get("schedulingGates") or spec["schedulerName"] != "default-scheduler"
    if waits or is_leaving(pod) or is_over(pod):
        return
    nodes, pods = hand.list("v1", "Node"), hand.list("v1", "Pod")
    problems: Counter[str] = Counter()
    for node in nodes:
        found = _problems(node, pod, pods)
        if not found:
            _bind(hand, pod, node["metadata"]["name"])
            return
        problems.update(found)
    words = ", ".join(f"{count} {problem}" for problem, count in sorted(problems.items())) or "no nodes"
    message = f"0/{len(nodes)} nodes are available: {words}."
    fresh = condition("PodScheduled", true=False, reason="Unschedulable", message=message)
    hand.set_status(pod, {"conditions": with_conditions(pod, fresh)})


def _bind(hand: Hand, pod: Manifest, node: str) -> None:
    def bind(live: Manifest) -> None:
        live["spec"].setdefault("nodeName", node)

    bound = hand.change(pod, bind)
    if bound is not None:
        hand.set_status(bound, {"conditions": with_conditions(bound, condition("PodScheduled"))})


def _problems(node: Manifest, pod: Manifest, pods: list[Manifest]) -> list[str]:
    """Why a node does not take a pod, in the scheduler's words."""
    if node["spec"].get("unschedulable"):
        return ["node(s) were unschedulable"]
    if not is_true(node, "Ready"):
        return ["node(s) had untolerated taint(s)"]
    labels = node["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (pod["spec"].get("nodeSelector") or {}).items()):
        return ["node(s) didn't match Pod's node affinity/selector"]
    if not _is_in_affinity(labels, pod):
        return ["node(s) didn't match Pod's node affinity/selector"]
    if any(not _tolerated(taint, pod) for taint in node["spec"].get("taints") or []):
        return ["node(s) had untolerated taint(s)"]
    name = node["metadata"]["name"]
    free: Room = {key: number(value) for key, value in (node["status"].get("allocatable") or {}).items()}
    for other in pods:
        if other["spec"].get("nodeName") == name and not is_over(other):
            for key, value in _asked(other).items():
                free[key] = free.get(key, Fraction()) - value
    return [f"Insufficient {key}" for key, value in _asked(pod).items() if value > free.get(key, Fraction())]


def _is_in_affinity(labels: Manifest, pod: Manifest) -> bool:
    """Whether a node has one of the values that a pod requires: of the operators, In alone is known here."""
    node = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    terms = (node or {}).get("nodeSelectorTerms") or []
    return not terms or any(
        all(labels.get(each["key"]) in each["values"] for each in term.get("matchExpressions") or []) for term in terms
    )


def _tolerated(taint: Manifest, pod: Manifest) -> bool:
    if taint.get("effect") == "PreferNoSchedule":
        return True
    for each in pod["spec"].get("tolerations") or []:
        same_key = each.get("key", taint["key"]) == taint["key"]
        same_value = each.get("operator") == "Exists" or each.get("value", "") == taint.get("value", "")
        if same_key and same_value and each.get("effect", taint["effect"]) == taint["effect"]:
            return True
    return False


def _asked(pod: Manifest) -> Room:
    """What a pod asks for: of devices, a limit is a request."""
    total: Room = {"pods": Fraction(1)}
    for container in pod["spec"]["containers"]:
        resources = container.get("resources") or {}
        asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        for key, value in asked.items():
            total[key] = total.get(key, Fraction()) + number(value)
    return total
