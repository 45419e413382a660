"""JobSets: a Service and Jobs, started anew as a whole when one fails. Source: the API jobset.x-k8s.io/v1alpha2."""

from __future__ import annotations

from plimsoll.kubernetes.memory.controllers.loop import World
from plimsoll.kubernetes.memory.controllers.owning import (
    condition,
    is_leaving,
    is_true,
    owned,
    owner_of,
    owner_reference,
    with_conditions,
)
from plimsoll.kubernetes.memory.hand import Hand
from plimsoll.kubernetes.memory.refusals import Manifest
from plimsoll.kubernetes.memory.values import copied

_GROUP = "jobset.sigs.k8s.io"
_ATTEMPT = f"{_GROUP}/restart-attempt"


class JobSets:
    """Makes the Jobs of JobSets."""

    kinds = frozenset({("jobset.x-k8s.io", "jobsets"), ("batch", "jobs")})

    def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
        """See to a JobSet, or to that of a Job."""
        whole = owner_of(world.hand, found, "JobSet") if found["kind"] == "Job" else None if gone else found
        if whole is None or is_leaving(whole) or is_true(whole, "Completed") or is_true(whole, "Failed"):
            return
        _see_to(world.hand, whole)


def _see_to(hand: Hand, whole: Manifest) -> None:
    name, namespace = whole["metadata"]["name"], whole["metadata"]["namespace"]
    if hand.find("v1", "Service", name, namespace) is None:
        hand.create(_service(whole))
    restarts = (whole.get("status") or {}).get("restarts", 0)
    jobs = owned(hand, "batch/v1", "Job", whole)
    for each in jobs:
        # What is left of an earlier attempt goes before anything of the next is made.
        if each["metadata"]["labels"].get(_ATTEMPT) != str(restarts) and not is_leaving(each):
            hand.delete(each)
    jobs = owned(hand, "batch/v1", "Job", whole)
    current = {each["metadata"]["name"]: each for each in jobs}
    if any(is_true(each, "Failed") for each in jobs):
        _restart_or_fail(hand, whole, restarts)
        return
    suspended = bool(whole["spec"].get("suspend"))
    for wanted in _jobs(whole, restarts, suspended=suspended):
        found = current.get(wanted["metadata"]["name"])
        if found is None:
            current[wanted["metadata"]["name"]] = hand.create(wanted)
        elif bool(found["spec"].get("suspend")) != suspended:
            hand.change(found, lambda live: live["spec"].update(suspend=suspended))
    if current and all(is_true(each, "Complete") for each in current.values()):
        fresh = condition("Completed", reason="AllJobsCompleted", message="jobset completed successfully")
        hand.set_status(whole, {"terminalState": "Completed", "conditions": with_conditions(whole, fresh)})
    else:
        fresh = condition("Suspended", true=suspended, reason="SuspendedJobs" if suspended else "ResumeJobs")
        hand.set_status(whole, {"restarts": restarts, "conditions": with_conditions(whole, fresh)})


def _restart_or_fail(hand: Hand, whole: Manifest, restarts: int) -> None:
    most = (whole["spec"].get("failurePolicy") or {}).get("maxRestarts", 0)
    if restarts < most:
        # The change of the status has this controller asked again, which then sees jobs of an earlier attempt.
        hand.set_status(whole, {"restarts": restarts + 1})
        return
    message = "jobset failed due to one or more job failures"
    fresh = condition("Failed", reason="FailedJobs", message=message)
    hand.set_status(whole, {"terminalState": "Failed", "conditions": with_conditions(whole, fresh)})


def _service(whole: Manifest) -> Manifest:
    name = whole["metadata"]["name"]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": whole["metadata"]["namespace"],
            "ownerReferences": [owner_reference(whole)],
        },
        "spec": {"clusterIP": "None", "selector": {f"{_GROUP}/jobset-name": name}, "publishNotReadyAddresses": True},
    }


def _jobs(whole: Manifest, restarts: int, *, suspended: bool) -> list[Manifest]:
    return [
        _job(whole, part, index, restarts, suspended=suspended)
        for part in whole["spec"]["replicatedJobs"]
        for index in range(part.get("replicas", 1))
    ]


def _job(whole: Manifest, part: Manifest, index: int, restarts: int, *, suspended: bool) -> Manifest:
    name = f"{whole['metadata']['name']}-{part['name']}-{index}"
    labels = {
        f"{_GROUP}/jobset-name": whole["metadata"]["name"],
        f"{_GROUP}/replicatedjob-name": part["name"],
        f"{_GROUP}/job-index": str(index),
        _ATTEMPT: str(restarts),
    }
    own = part["template"].get("metadata") or {}
    spec = copied(part["template"]["spec"])
    metadata = spec["template"].setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    spec["template"]["spec"].setdefault("subdomain", whole["metadata"]["name"])
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": whole["metadata"]["namespace"],
            "labels": {**(own.get("labels") or {}), **labels},
            "annotations": own.get("annotations") or {},
            "ownerReferences": [owner_reference(whole)],
        },
        "spec": {**spec, "suspend": suspended},
    }
