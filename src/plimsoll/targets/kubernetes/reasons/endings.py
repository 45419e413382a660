"""Why a pod ended. Who is believed, first to last:

1. the pod's own report, where its container had ended before anybody asked it to;
2. the condition DisruptionTarget, set by whoever ended the pod;
3. the reason in the pod's status, set by its kubelet;
4. the reason of its container, such as OOMKilled;
5. that the pod was deleted;
6. the container's exit status with its last words.

What a workload says of itself, such as a passed deadline, comes before all of these: its pods were deleted for it.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from plimsoll.kubernetes.objects import Object
from plimsoll.runtime.pod_task import TerminationReport
from plimsoll.targets.kubernetes.reasons.containers import main_of

_BY_SIGNAL = (137, 143)
_OWN_LIMIT = re.compile(r"exceeds the (?:total )?limit|exceeded its local ephemeral storage limit")
_LOW = re.compile(r"low on resource: ([\w-]+)")
_NOT_ADMITTED = {
    "UnexpectedAdmissionError": "refused by its node",
    "NodeAffinity": "refused by its node, whose labels no longer fit",
    "NodePorts": "refused by its node, whose port is taken",
    "NodeShutdown": "refused by its node, which is shutting down",
    "PodOSNotSupported": "refused by its node, which has another operating system",
    "TopologyAffinityError": "refused by its node, which cannot give its resources from one place",
    "AppArmor": "refused by its node, which lacks its AppArmor profile",
}


class Ending(Struct, frozen=True, kw_only=True):
    """Why a pod ended.

    `disrupted` says that it was ended from outside, and that its own work is not to blame; `deleted` that
    nobody said more than that it was to go, as of a pod that goes down with another.
    """

    text: str
    disrupted: bool = False
    deleted: bool = False
    lasting: bool = False


def ending(pod: Object) -> Ending:
    """Why a failed or vanished pod ended; the words of a container are those of its last message."""
    status = pod.get("status", {})
    ended = _main(pod)
    report = _report(ended)
    if report is not None and not _was_asked(pod, ended):
        return Ending(text=report.reason, lasting=report.lasting)
    found = _disrupted(pod) or _by_kubelet(pod) or _by_reason(pod) or _deleted(pod, ended)
    if found is not None:
        return found
    for each in (ended, *_others(status)):
        if each and each.get("exitCode") != 0:
            own = _report(each)
            return Ending(text=own.reason, lasting=own.lasting) if own is not None else Ending(text=_exit(each))
    reason, message = status.get("reason", ""), status.get("message", "")
    return Ending(text=f"{reason}: {message}".strip(": ") or "it failed without a reason")


def vanished(pod: Object) -> Ending:
    """Why a pod is no longer there, by the last that was seen of it."""
    return _disrupted(pod) or _by_kubelet(pod) or Ending(text=_deleted_text(pod), disrupted=True, deleted=True)


def disruption(pod: Object) -> str:
    """That a pod which still runs is being ended, and by whom; empty when it is not."""
    if found := _disrupted(pod):
        return found.text
    if pod["metadata"].get("deletionTimestamp"):
        return f"the pod {_named(pod)} is being deleted"
    return ""


def _named(pod: Object) -> str:
    node = pod["spec"].get("nodeName", "")
    return f"{pod['metadata']['name']} on {node}" if node else str(pod["metadata"]["name"])


def _main(pod: Object) -> Object:
    """How the container that does the work ended; empty while it has not, or never began."""
    name = main_of(pod)
    for each in pod.get("status", {}).get("containerStatuses", []):
        if each.get("name", name) == name:
            found: Object = each.get("state", {}).get("terminated") or {}
            return found
    return {}


def _others(status: Object) -> list[Object]:
    found = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    return [each.get("state", {}).get("terminated") or {} for each in found]


def _report(ended: Object) -> TerminationReport | None:
    try:
        return msgspec.json.decode(str(ended.get("message", "")), type=TerminationReport)
    except msgspec.DecodeError:
        return None


def _was_asked(pod: Object, ended: Object) -> bool:
    """Whether the container ended because its pod was to end, and not by itself before that."""
    if _condition(pod) is None and not pod["metadata"].get("deletionTimestamp"):
        return False
    if ended.get("exitCode") in _BY_SIGNAL or not ended:
        return True
    asked = _asked_at(pod)
    finished = _moment(ended.get("finishedAt"))
    return asked is None or finished is None or finished > asked


def _asked_at(pod: Object) -> datetime | None:
    metadata = pod["metadata"]
    until = _moment(metadata.get("deletionTimestamp"))
    if until is None:
        condition = _condition(pod) or {}
        return _moment(condition.get("lastTransitionTime"))
    return until - timedelta(seconds=metadata.get("deletionGracePeriodSeconds") or 0)


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None


def _condition(pod: Object) -> Object | None:
    for each in pod.get("status", {}).get("conditions", []):
        if each.get("type") == "DisruptionTarget" and each.get("status") == "True":
            found: Object = each
            return found
    return None


def _disrupted(pod: Object) -> Ending | None:
    condition = _condition(pod)
    if condition is None:
        return None
    who = f"the pod {_named(pod)} was"
    node = pod["spec"].get("nodeName", "its node")
    message = " ".join(str(condition.get("message", "")).split()).rstrip(".")
    match condition.get("reason"):
        case "EvictionByEvictionAPI":
            words = "evicted by the eviction API, as `kubectl drain` and autoscalers do"
        case "PreemptionByScheduler":
            words = f"preempted by a pod of higher priority ({message}); give it a priority class, or more room"
        case "DeletionByTaintManager":
            words = f"ended because {node} has a taint that it does not tolerate, as a node gets that does not answer"
        case "DeletionByPodGC":
            words = f"lost with {node}, which is no longer there"
        case "DeletionByDeviceTaintManager":
            words = f"ended because a device that it claims has a taint ({message})"
        case "TerminationByKubelet":
            return _by_kubelet(pod) or Ending(text=f"{who} ended by its kubelet: {message}", disrupted=True)
        case reason:
            words = f"ended from outside: {reason}: {message}".rstrip(": ")
    return Ending(text=f"{who} {words}", disrupted=True)


def _by_kubelet(pod: Object) -> Ending | None:
    """What a kubelet has written into the status of a pod that it ended or refused, or the node's controller for it."""
    status = pod.get("status", {})
    reason, message = str(status.get("reason", "")), " ".join(str(status.get("message", "")).split()).rstrip(".")
    who = f"the pod {_named(pod)} was"
    node = pod["spec"].get("nodeName", "its node")
    if reason == "Evicted" and _OWN_LIMIT.search(message):
        text = f"{who} evicted for using more disk than it may: {message}; write less, or have the limit raised"
        return Ending(text=text, lasting=True)
    if reason == "Evicted":
        low = f"{node} is short of {found[1]}" if (found := _LOW.search(message)) else node
        return Ending(text=f"{who} evicted: {low} ({message})", disrupted=True)
    if reason == "DeadlineExceeded":
        return Ending(text=f"{who} ended at its deadline: {message}", lasting=True)
    if reason == "NodeLost":
        return Ending(text=f"{who} lost: {node} does not answer", disrupted=True)
    if reason in ("Terminated", "Shutdown"):
        return Ending(text=f"{who} ended because {node} is shutting down", disrupted=True)
    if reason in ("Preempting", "Preempted"):
        return Ending(text=f"{who} ended by its kubelet for a pod that the node cannot do without", disrupted=True)
    if reason.startswith("OutOf"):
        short = reason.removeprefix("OutOf")
        return Ending(text=f"{who} refused by {node}, which has no {short} left ({message})", disrupted=True)
    if reason in _NOT_ADMITTED:
        return Ending(text=f"{who} {_NOT_ADMITTED[reason]}: {message}", disrupted=True)
    return None


def _by_reason(pod: Object) -> Ending | None:
    """What the runtime says of the container: that the kernel ended it, or that nobody knows how it ended."""
    ended = _main(pod)
    named = main_of(pod)
    statuses = pod.get("status", {}).get("containerStatuses", [])
    killed = [str(each.get("name", named)) for each in statuses if _terminated(each).get("reason") == "OOMKilled"]
    if named in killed or (killed and not ended.get("exitCode")):
        limit = _limit(pod, killed[0] if named not in killed else named)
        whose = "" if named in killed else f" in its container {killed[0]}"
        of = f" of {limit}" if limit else ""
        return Ending(text=f"it used more than its memory{of}{whose} and was killed; raise resources.memory")
    if ended.get("reason") == "ContainerStatusUnknown":
        text = f"the pod {_named(pod)} was lost: its node no longer knows how it ended"
        return Ending(text=text, disrupted=True)
    if ended.get("reason") in ("StartError", "ContainerCannotRun"):
        words = " ".join(str(ended.get("message", "")).split())
        return Ending(text=f"its container cannot be started: {words[-300:]}", lasting=True)
    return None


def _terminated(each: Object) -> Object:
    found: Object = each.get("state", {}).get("terminated") or {}
    return found


def _limit(pod: Object, container: str) -> str:
    for each in pod["spec"].get("containers") or []:
        if each.get("name") == container:
            return _readable(str((each.get("resources") or {}).get("limits", {}).get("memory", "")))
    return ""


def _readable(amount: str) -> str:
    """Bytes as people write them; other quantities as they are."""
    if not amount.isdecimal():
        return amount
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if int(amount) >= size:
            return f"{int(amount) / size:.4g} {unit}"
    return f"{amount} bytes"


def _deleted(pod: Object, ended: Object) -> Ending | None:
    if not pod["metadata"].get("deletionTimestamp") or not _was_asked(pod, ended):
        return None
    return Ending(text=_deleted_text(pod), disrupted=True, deleted=True)


def _deleted_text(pod: Object) -> str:
    return f"the pod {_named(pod)} was deleted by somebody else; who it was stands in the cluster's audit log alone"


def _exit(ended: Object) -> str:
    number = ended.get("signal")
    how = f"was ended by signal {number}" if number else f"ended with status {ended.get('exitCode')}"
    lines = str(ended.get("message", "")).strip().splitlines()
    return f"{how}: {lines[-1][:300]}" if lines else how
