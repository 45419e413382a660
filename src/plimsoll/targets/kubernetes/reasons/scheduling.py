"""The scheduler's message about a pod without a node, every part of it, in few words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from plimsoll.kubernetes.objects import Object

_NODES = re.compile(r"^(\d+)/(\d+) nodes are available: ?(.*)$", re.DOTALL)
_SENTENCE = re.compile(r"\.(?:\s|$)")
_PART = re.compile(r",\s+(?![^{]*\})")
_COUNTED = re.compile(r"^(\d+) (.*)$", re.DOTALL)
_INSUFFICIENT = re.compile(r"^Insufficient ([\w./-]+?)\.?$")
_TAINT = re.compile(r"^(?:node\(s\)|node) had (?:untolerated taint|taints? )(?:\(s\))?(?: ?(\{.*\}))?")
_WORDS: Mapping[str, str] = {
    "Too many pods": "{n} full of pods",
    "node(s) were unschedulable": "{n} cordoned",
    "node(s) had unknown conditions": "{n} in an unknown condition",
    "node(s) didn't match Pod's node affinity/selector": "{n} without the labels that the pod asks for",
    "node(s) didn't match the requested node name": "{n} not the node that the pod names",
    "node(s) didn't match pod affinity rules": "{n} away from the pods that it must be beside",
    "node(s) didn't match pod anti-affinity rules": "{n} with pods that it must not be beside",
    "node(s) didn't satisfy existing pods anti-affinity rules": "{n} with pods that want it away",
    "node(s) didn't match pod topology spread constraints": "{n} with too many of its pods already",
    "node(s) didn't have free ports for the requested pod ports": "{n} with its port taken",
    "node(s) exceed max volume count": "{n} with as many volumes as it takes",
    "node(s) had volume node affinity conflict": "{n} out of reach of its volume",
    "node(s) didn't match PersistentVolume's node affinity": "{n} out of reach of its volume",
    "node(s) had no available volume zone": "{n} outside the zone of its volume",
    "node(s) didn't find available persistent volumes to bind": "{n} without a free persistent volume",
    "cannot allocate all claims": "{n} without the devices that it claims",
}
_REMEDY_ROOM = "ask for less in `resources`, or add nodes"
_REMEDY_FIT = "have a node that fits, or made to fit"
_KEPT = {
    "node.kubernetes.io/not-ready": "not ready",
    "node.kubernetes.io/unreachable": "not answering",
    "node.kubernetes.io/unschedulable": "cordoned",
    "node.kubernetes.io/memory-pressure": "short of memory",
    "node.kubernetes.io/disk-pressure": "short of disk",
    "node.kubernetes.io/pid-pressure": "short of processes",
    "node.kubernetes.io/network-unavailable": "without a network",
    "node.cloudprovider.kubernetes.io/uninitialized": "still being set up",
}
"""Taints that Kubernetes itself sets, and what each says of a node."""


def unscheduled(message: str, taints: Sequence[str] = (), gates: Sequence[str] = ()) -> str:
    """What a pod lacks. `taints` are those of the cluster's nodes, for a scheduler that does not name them.

    `gates` are those that keep the pod from being looked at.
    """
    if gates:
        return f"the scheduler leaves it until its gates are lifted: {', '.join(gates)}"
    if not message:
        return "the scheduler has not looked at it yet"
    nodes = _NODES.match(message)
    if nodes is None:
        return _volumes(_SENTENCE.split(message)[0])
    total = nodes[2]
    if total == "0":
        return "the cluster has no nodes; add one"
    lacking, other = [], []
    for part in _PART.split(_SENTENCE.split(nodes[3])[0]):
        counted = _COUNTED.match(part.strip())
        count, words = (counted[1], counted[2]) if counted else ("", part.strip())
        if resource := _INSUFFICIENT.match(words):
            lacking.append(f"{resource[1]} on {count}")
        elif words:
            other.append(_told(count, words, taints))
    if lacking:
        rest = f"; {', '.join(other)}" if other else ""
        return f"no node of {total} has enough free: {', '.join(lacking)}{rest}; {_REMEDY_ROOM}"
    return f"none of {total} nodes takes it: {', '.join(other) or 'the scheduler gives no reason'}; {_REMEDY_FIT}"


def leaves_taints_out(pod: Object) -> bool:
    """Whether the scheduler says of a pod that taints keep it off, and not which: from 1.35 on it names none."""
    conditions = pod.get("status", {}).get("conditions", [])
    said = [each.get("message", "") for each in conditions if each["type"] == "PodScheduled"]
    return any("taint" in message and "{" not in message for message in said)


def _told(count: str, words: str, taints: Sequence[str]) -> str:
    if taint := _TAINT.match(words):
        return _tainted(count, taint[1], taints)
    for known, told in _WORDS.items():
        if words.startswith(known):
            return told.format(n=count) + words.removeprefix(known)
    return _volumes(f"{count} {words}".strip())


def _tainted(count: str, named: str | None, taints: Sequence[str]) -> str:
    """Nodes whose taint the pod does not tolerate; those of Kubernetes itself say what is wrong with a node."""
    found = [named.strip("{}")] if named else list(taints)
    own = [_KEPT[key] for each in found if (key := each.partition(":")[0].strip()) in _KEPT]
    if own and len(own) == len(found):
        return f"{count} {' or '.join(dict.fromkeys(own))}"
    if not found:
        return f"{count} with a taint that the pod does not tolerate"
    words = " or ".join(f"{{{each.rstrip(': ')}}}" for each in found)
    return f"{count} with the taint {words}, which the pod does not tolerate"


def _volumes(words: str) -> str:
    if "unbound immediate PersistentVolumeClaims" in words:
        return "its PersistentVolumeClaim is not bound to a volume; see the claim's StorageClass and events"
    if found := re.search(r'persistentvolumeclaim "([^"]+)" not found', words):
        return f'its PersistentVolumeClaim "{found[1]}" does not exist; make it'
    return words.strip()
