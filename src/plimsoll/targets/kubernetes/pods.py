"""What pods say of themselves, as sentences for people who have no kubectl at hand. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from plimsoll.runtime.pod_task import TerminationReport

Pod = Mapping[str, Any]
Event = Mapping[str, Any]
INDEX = "batch.kubernetes.io/job-completion-index"
"""The annotation of a pod that says its rank (KEP-2214)."""
_HOPELESS = {
    "InvalidImageName": "the image's name is not valid",
    "ErrImageNeverPull": "the image is not on the node, and may not be pulled",
    "CreateContainerConfigError": "the container cannot be configured",
    "CreateContainerError": "the container cannot be made",
}
_PULLING = ("ErrImagePull", "ImagePullBackOff")
_INSUFFICIENT = re.compile(r"(\d+) Insufficient ([\w./-]+)")
_NODES = re.compile(r"^(\d+)/(\d+) nodes are available: (.*)$", re.DOTALL)


class Standing(Struct, frozen=True, kw_only=True):
    """One pod as it stands. `problem` is why it does not run or failed; `hopeless` says that waiting is no use."""

    name: str
    rank: int
    phase: str
    node: str = ""
    problem: str = ""
    hopeless: bool = False
    code: int | None = None
    ended: bool = False


def standing(pod: Pod, events: Iterable[Event] = (), rank: int | None = None) -> Standing:
    """How a pod stands, from its status and from what was said about it; `rank` where the pod does not know its own."""
    status = pod.get("status", {})
    name = pod["metadata"]["name"]
    phase = str(status.get("phase", "Pending"))
    if pod["metadata"].get("deletionTimestamp"):
        phase = "Terminating" if phase == "Running" else phase
    problem, hopeless = "", False
    if phase == "Pending":
        problem, hopeless = _why_pending(status, events)
    elif phase == "Failed":
        problem = _why_failed(status)
    ended = [each["state"]["terminated"] for each in _containers(status) if "terminated" in each.get("state", {})]
    return Standing(
        name=name,
        rank=rank_of(pod) if rank is None else rank,
        phase=phase,
        node=str(pod["spec"].get("nodeName", "")),
        problem=problem,
        hopeless=hopeless,
        code=int(ended[0]["exitCode"]) if ended else None,
        ended=phase in ("Succeeded", "Failed"),
    )


def rank_of(pod: Pod) -> int:
    """Its number among the workers; 0 for a pod without one."""
    metadata = pod["metadata"]
    found = metadata.get("annotations", {}).get(INDEX) or metadata.get("labels", {}).get(INDEX) or "0"
    return int(found)


def report_of(pod: Pod) -> TerminationReport | None:
    """What the pod's own last message says, when it is one of ours."""
    for each in _containers(pod.get("status", {})):
        message = each.get("state", {}).get("terminated", {}).get("message", "")
        try:
            return msgspec.json.decode(message, type=TerminationReport)
        except msgspec.DecodeError:
            continue
    return None


def summary(standings: Sequence[Standing], of: int) -> str:
    """One sentence for all pods of a gang that do not run yet; empty when nothing is to be said."""
    waiting = [each for each in standings if each.phase == "Pending" and each.problem]
    if not waiting:
        missing = of - len(standings)
        return f"{missing} of {of} workers have no pod yet" if missing > 0 and of > 1 else ""
    reason, count = Counter(each.problem for each in waiting).most_common(1)[0]
    if of == 1:
        return reason
    return f"{count} of {of} workers wait: {reason}"


def _containers(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _why_pending(status: Mapping[str, Any], events: Iterable[Event]) -> tuple[str, bool]:
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return unscheduled(condition.get("message", "")), False
    for each in _containers(status):
        waiting = each.get("state", {}).get("waiting", {})
        reason, message = waiting.get("reason", ""), waiting.get("message", "")
        if reason in _HOPELESS:
            return f"{_HOPELESS[reason]}: {message or each.get('image', '')}", True
        if reason in _PULLING:
            return f"the image {each.get('image', '')} cannot be pulled: {message or reason}", False
    latest = [event for event in events if event.get("type") == "Warning"][-1:]
    return (f"{latest[0].get('reason', '')}: {latest[0].get('message', '')}" if latest else ""), False


def unscheduled(message: str) -> str:
    """The scheduler's message about a pod without a node, shortened to what it lacks."""
    if not message:
        return "the scheduler has not looked at it yet"
    nodes = _NODES.match(message)
    if nodes is None:
        return message.split(". ", maxsplit=1)[0]
    lacking = _INSUFFICIENT.findall(nodes[3])
    if lacking:
        words = ", ".join(f"{resource.rstrip('.')} on {count}" for count, resource in lacking)
        return f"no node of {nodes[2]} has enough free: {words}"
    reasons = nodes[3].split(". preemption")[0].rstrip(". ")
    return f"none of {nodes[2]} nodes takes it: {reasons}"


def _why_failed(status: Mapping[str, Any]) -> str:
    for each in _containers(status):
        ended = each.get("state", {}).get("terminated", {})
        if not ended or ended.get("exitCode") == 0:
            continue
        if ended.get("reason") == "OOMKilled":
            return "it used more than its memory and was killed"
        message = str(ended.get("message", ""))
        try:
            return msgspec.json.decode(message, type=TerminationReport).reason
        except msgspec.DecodeError:
            pass
        number = ended.get("signal")
        how = f"was ended by signal {number}" if number else f"ended with status {ended.get('exitCode')}"
        lines = message.strip().splitlines()
        return f"{how}: {lines[-1][:300]}" if lines else how
    reason, message = status.get("reason", ""), status.get("message", "")
    return f"{reason}: {message}".strip(": ") or "it failed without a reason"
