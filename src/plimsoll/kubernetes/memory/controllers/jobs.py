"""Jobs: pods by parallelism and completions, with indexes, and how it all ended. Source: the API batch/v1."""

from __future__ import annotations

from collections.abc import Sequence

from plimsoll.kubernetes.memory.controllers.loop import World
from plimsoll.kubernetes.memory.controllers.owning import (
    condition,
    is_leaving,
    is_over,
    is_true,
    owned,
    owner_of,
    pod_of,
    with_conditions,
)
from plimsoll.kubernetes.memory.hand import Hand
from plimsoll.kubernetes.memory.refusals import Manifest
from plimsoll.kubernetes.memory.values import now

INDEX = "batch.kubernetes.io/job-completion-index"


class Jobs:
    """Makes the pods of Jobs."""

    kinds = frozenset({("batch", "jobs"), ("", "pods")})

    def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
        """See to a Job, or to the Job of a pod."""
        job = owner_of(world.hand, found, "Job") if found["kind"] == "Pod" else None if gone else found
        if job is None or is_leaving(job) or is_true(job, "Complete") or is_true(job, "Failed"):
            return
        _see_to(world.hand, job)


def _see_to(hand: Hand, job: Manifest) -> None:
    pods, spec = owned(hand, "v1", "Pod", job), job["spec"]
    active = [each for each in pods if not is_over(each) and not is_leaving(each)]
    succeeded = [each for each in pods if each["status"].get("phase") == "Succeeded"]
    failed = [each for each in pods if each["status"].get("phase") == "Failed"]
    status: Manifest = {"active": len(active), "succeeded": len(succeeded), "failed": len(failed)}
    if spec.get("suspend"):
        for each in active:
            hand.delete(each)
        fresh = condition("Suspended", reason="JobSuspended", message="Job suspended")
        hand.set_status(job, {**status, "active": 0, "startTime": None, "conditions": with_conditions(job, fresh)})
        return
    status["startTime"] = (job.get("status") or {}).get("startTime") or now()
    if is_true(job, "Suspended"):
        status["conditions"] = with_conditions(job, condition("Suspended", true=False, reason="JobResumed"))
    if len(failed) > spec["backoffLimit"]:
        message = "Job has reached the specified backoff limit"
        _end(hand, job, status, active, condition("Failed", reason="BackoffLimitExceeded", message=message))
        return
    done = {_index(each) for each in succeeded} if _indexed(spec) else {each["metadata"]["uid"] for each in succeeded}
    wanted = spec.get("completions")
    if (wanted is not None and len(done) >= wanted) or (wanted is None and succeeded and not active):
        _end(hand, job, {**status, "completionTime": now()}, active, condition("Complete", reason="CompletionsReached"))
        return
    status["active"] = len(active) + _make_missing(hand, job, active, done)
    hand.set_status(job, status)


def _end(hand: Hand, job: Manifest, status: Manifest, active: Sequence[Manifest], fresh: Manifest) -> None:
    for each in active:
        hand.delete(each)
    hand.set_status(job, {**status, "active": 0, "conditions": with_conditions(job, fresh)})


def _make_missing(hand: Hand, job: Manifest, active: Sequence[Manifest], done: set[str]) -> int:
    """Make the pods that a Job lacks; gives how many."""
    spec, name = job["spec"], job["metadata"]["name"]
    wanted = spec.get("completions")
    room: int = spec["parallelism"] - len(active)
    if wanted is not None:
        room = min(room, wanted - len(done) - len(active))
    if not _indexed(spec):
        for _ in range(room):
            hand.create(pod_of(spec["template"], name, job))
        return max(0, room)
    taken = done | {_index(each) for each in active}
    missing = [index for index in range(wanted or 0) if str(index) not in taken][: max(0, room)]
    for index in missing:
        hand.create(_indexed_pod(job, index))
    return len(missing)


def _indexed(spec: Manifest) -> bool:
    return spec.get("completionMode") == "Indexed"


def _index(pod: Manifest) -> str:
    return str((pod["metadata"].get("annotations") or {}).get(INDEX, ""))


def _indexed_pod(job: Manifest, index: int) -> Manifest:
    name = f"{job['metadata']['name']}-{index}"
    pod = pod_of(job["spec"]["template"], name, job, **{INDEX: str(index)})
    annotations = pod["metadata"].get("annotations") or {}
    pod["metadata"]["annotations"] = {**annotations, INDEX: str(index)}
    pod["spec"]["hostname"] = name
    for container in pod["spec"]["containers"]:
        container["env"] = [*container.get("env", []), {"name": "JOB_COMPLETION_INDEX", "value": str(index)}]
    return pod
