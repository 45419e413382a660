"""What a workload's controllers say of it: how it ended, that a queue holds it back, and why servers are not made."""

from __future__ import annotations

from collections.abc import Iterable

from plimsoll.kubernetes.objects import Object
from plimsoll.targets.kubernetes.reasons.admission import refused
from plimsoll.targets.kubernetes.reasons.cause import Cause
from plimsoll.targets.kubernetes.reasons.happenings import Event, of_owner

_DONE = ("Complete", "Completed", "Succeeded")
DEADLINE = "DeadlineExceeded"


def ended(found: Object) -> tuple[str, str]:
    """How a workload has ended: `done` or `failed` with its controller's words; empty while it has not."""
    for condition in found.get("status", {}).get("conditions", []):
        if condition["status"] != "True":
            continue
        if condition["type"] in _DONE:
            return "done", ""
        if condition["type"] == "Failed":
            return "failed", f"{condition.get('reason', '')}: {condition.get('message', '')}".strip(": ")
    words = str(found.get("status", {}).get("message", "")).strip().splitlines()
    match found.get("status", {}).get("jobDeploymentStatus"):
        case "Complete":
            return "done", ""
        case "Failed":
            return "failed", words[-1] if words else "KubeRay says no more"
    return "", ""


def past_deadline(objects: Iterable[Object]) -> bool:
    """Whether one of a workload's objects says that it ran for longer than it may."""
    return any(
        condition.get("reason") == DEADLINE and condition.get("status") == "True"
        for each in objects
        for condition in each.get("status", {}).get("conditions", [])
    ) or any(each.get("status", {}).get("reason") == DEADLINE for each in objects)


def overran(seconds: float) -> str:
    """The sentence of a workload whose `timeout` has passed, as on this machine."""
    return f"did not end within its time limit of {seconds:g} s, and was ended; raise its `timeout`"


def queued(found: Object, workloads: Iterable[Object] = ()) -> str:
    """That a queue holds the whole workload back, and why as far as is said; empty when none does."""
    if not found.get("spec", {}).get("suspend"):
        return ""
    name = found.get("metadata", {}).get("name", "")
    queue = found.get("metadata", {}).get("labels", {}).get("kueue.x-k8s.io/queue-name", "")
    place = f"the queue {queue}" if queue else "the queue"
    for each in workloads:
        owners = {owner.get("name") for owner in each.get("metadata", {}).get("ownerReferences", [])}
        if name in owners and (words := _held(each, place)):
            return words
    return f"{place} has not admitted it yet"


def _held(workload: Object, place: str) -> str:
    status = workload.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions", [])}
    evicted = conditions.get("Evicted", {})
    if evicted.get("status") == "True" and conditions.get("QuotaReserved", {}).get("status") != "True":
        why = _line(evicted.get("message") or evicted.get("reason", ""))
        return f"{place} has taken it back, and admits it again later: {why}"
    reserved = conditions.get("QuotaReserved", {})
    if reserved.get("status") == "False" and reserved.get("message"):
        remedy = "; have the queue mended" if reserved.get("reason") == "Inadmissible" else ""
        return f"{place} has not admitted it yet: {_line(reserved['message'])}{remedy}"
    waits = [each["name"] for each in status.get("admissionChecks", []) if each.get("state") in ("Pending", "Retry")]
    if waits:
        return f"{place} waits for its admission checks: {', '.join(waits)}"
    return ""


def unmade(deployment: Object, events: Iterable[Event]) -> Cause | None:
    """Why a Deployment's servers are not made.

    Its conditions say that it is so, with the words of the first refusal; the newest event has those of the last.
    """
    metadata = deployment["metadata"]
    for each in deployment.get("status", {}).get("conditions", []):
        failing = each["type"] == "ReplicaFailure" and each["status"] == "True"
        stuck = each["type"] == "Progressing" and each.get("reason") == "ReplicaSetCreateError"
        if failing or stuck:
            what = f"pods of the Deployment {metadata['name']}"
            said = of_owner(metadata["name"], metadata["namespace"], events, what=what)
            return said or refused(str(each.get("message", "")), metadata["namespace"], what)
    return None


def _line(words: object) -> str:
    return " ".join(str(words).split()).rstrip(".")[:300]
