"""What pods say of themselves, as sentences for people who have no kubectl at hand. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct

from plimsoll.kubernetes.objects import Object
from plimsoll.targets.kubernetes.reasons import containers, happenings
from plimsoll.targets.kubernetes.reasons.cause import AT_ONCE, Cause
from plimsoll.targets.kubernetes.reasons.endings import Ending, disruption, ending
from plimsoll.targets.kubernetes.reasons.happenings import Event
from plimsoll.targets.kubernetes.reasons.scheduling import unscheduled

Pod = Object
INDEX = "batch.kubernetes.io/job-completion-index"
"""The annotation of a pod that says its rank (KEP-2214)."""


class Standing(Struct, frozen=True, kw_only=True):
    """One pod as it stands. `cause` is why it does not run, `problem` also why it failed or is troubled.

    `lingering` are containers beside the one that does the work: they go on although it has ended, so that the pod
    does not end. Its `phase` is then what that container has come to.
    """

    name: str
    rank: int
    phase: str
    node: str = ""
    problem: str = ""
    cause: Cause | None = None
    code: int | None = None
    ended: bool = False
    disrupted: bool = False
    deleted: bool = False
    lasting: bool = False
    lingering: tuple[str, ...] = ()

    @property
    def hopeless(self) -> bool:
        """Whether waiting is no use."""
        return self.cause is not None and self.cause.patience == AT_ONCE


def standing(pod: Pod, events: Sequence[Event] = (), rank: int | None = None, taints: Sequence[str] = ()) -> Standing:
    """How a pod stands, from its status and from what was said about it.

    `rank` is given where the pod does not know its own; `taints` are those of the cluster's nodes.
    """
    status = pod.get("status", {})
    phase = str(status.get("phase", "Pending"))
    finished = _finished(pod)
    lingering = _lingering(pod) if phase == "Running" and finished is not None else ()
    if lingering and finished is not None:
        phase = "Failed" if finished.get("exitCode") else "Succeeded"
    elif pod["metadata"].get("deletionTimestamp") and phase == "Running":
        phase = "Terminating"
    cause, problem, end = None, "", Ending(text="")
    if phase == "Pending":
        cause = _why_pending(pod, events, taints)
        problem = cause.text if cause is not None else ""
    elif phase == "Failed":
        end = ending(pod)
        problem = end.text
    elif phase in ("Running", "Terminating"):
        # A container that is to start again may be kept waiting too.
        cause = _kept_waiting(pod)
        problem = _trouble(pod, events) or (cause.text if cause is not None else "")
    return Standing(
        name=pod["metadata"]["name"],
        rank=rank_of(pod) if rank is None else rank,
        phase=phase,
        node=str(pod["spec"].get("nodeName", "")),
        problem=problem,
        cause=cause,
        code=_code(status, finished),
        ended=phase in ("Succeeded", "Failed"),
        disrupted=end.disrupted,
        deleted=end.deleted,
        lasting=end.lasting,
        lingering=lingering,
    )


def rank_of(pod: Pod) -> int:
    """Its number among the workers; 0 for a pod without one."""
    metadata = pod["metadata"]
    found = metadata.get("annotations", {}).get(INDEX) or metadata.get("labels", {}).get(INDEX) or "0"
    return int(found)


def summary(standings: Sequence[Standing], of: int) -> str:
    """One sentence for all pods of a gang that do not run yet or are troubled; empty when nothing is to be said."""
    waiting = [each for each in standings if each.phase == "Pending" and each.problem]
    if waiting:
        reason, count = Counter(each.problem for each in waiting).most_common(1)[0]
        if of > 1:
            return f"{count} of {of} workers wait: {reason}"
        return reason if waiting[0].name in reason else f"the pod {waiting[0].name} waits: {reason}"
    troubled = next((each for each in standings if each.phase in ("Running", "Terminating") and each.problem), None)
    if troubled is not None:
        named = troubled.name in troubled.problem
        said = troubled.problem if named else f"the pod {troubled.name} waits: {troubled.problem}"
        return f"worker {troubled.rank}: {said}" if of > 1 else said
    missing = of - len(standings)
    return f"{missing} of {of} workers have no pod yet" if missing > 0 and of > 1 else ""


def needs_events(pod: Pod) -> bool:
    """Whether only events can say why a pod is not up: it has a node and does not start, or its node is in doubt."""
    status = pod.get("status", {})
    if status.get("phase", "Pending") == "Pending":
        return bool(pod["spec"].get("nodeName"))
    return status.get("phase") == "Running" and _is_in_doubt(status)


def _is_in_doubt(status: Object) -> bool:
    """Whether a pod is not ready although its containers run: its node's controller says so of a node that is lost."""
    ready = {each["type"]: each["status"] for each in status.get("conditions", [])}
    running = all("running" in each.get("state", {}) for each in status.get("containerStatuses", []))
    return running and ready.get("Ready") != "True"


def _finished(pod: Pod) -> Object | None:
    """How the container that does the work ended; None while it has not."""
    main = containers.main_of(pod)
    for each in pod.get("status", {}).get("containerStatuses", []):
        if each.get("name", main) == main:
            found: Object | None = each.get("state", {}).get("terminated")
            return found
    return None


def _lingering(pod: Pod) -> tuple[str, ...]:
    main = containers.main_of(pod)
    statuses = pod.get("status", {}).get("containerStatuses", [])
    return tuple(
        str(each["name"])
        for each in statuses
        if each.get("name", main) != main and "terminated" not in each.get("state", {})
    )


def _code(status: Object, finished: Object | None) -> int | None:
    """The exit status of the container that does the work; of another one where that one never began."""
    if finished is not None:
        return int(finished["exitCode"])
    ended = [each["state"]["terminated"] for each in _containers(status) if each.get("state", {}).get("terminated")]
    return int(ended[0]["exitCode"]) if ended else None


def _containers(status: Object) -> list[Object]:
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _why_pending(pod: Pod, events: Sequence[Event], taints: Sequence[str]) -> Cause | None:
    status, name = pod.get("status", {}), str(pod["metadata"]["name"])
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            gates = [each["name"] for each in pod["spec"].get("schedulingGates") or []]
            return Cause(kind="scheduling", text=unscheduled(condition.get("message", ""), taints, gates))
    if (cause := _kept_waiting(pod)) is not None:
        return cause
    return happenings.of_pod(str(pod["metadata"].get("uid", "")), name, events)


def _kept_waiting(pod: Pod) -> Cause | None:
    name = str(pod["metadata"]["name"])
    found = (containers.waiting(each, name) for each in _containers(pod.get("status", {})))
    return next((cause for cause in found if cause is not None), None)


def _trouble(pod: Pod, events: Iterable[Event]) -> str:
    """What threatens a pod that runs: its own end, or that of its node."""
    known = list(events)
    if words := disruption(pod):
        return words
    if _is_in_doubt(pod.get("status", {})) and happenings.lost_node(str(pod["metadata"].get("uid", "")), known):
        node = pod["spec"].get("nodeName", "")
        return f"the node {node} of the pod {pod['metadata']['name']} does not answer; its pods are given up soon"
    return ""
