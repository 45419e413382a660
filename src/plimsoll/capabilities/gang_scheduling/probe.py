"""A gang that fits, a gang beside a filler, and the same pods without a gang."""

from __future__ import annotations

from collections.abc import Callable

from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.gang_scheduling import schedulers
from plimsoll.capabilities.gang_scheduling.schedulers import GROUP_LABEL, Scheduler
from plimsoll.capabilities.probe_namespace import ProbeNamespace, pod_fields
from plimsoll.evidence.verdict import Verdict, failed
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.quantities import thousandths

WINDOW = 20.0
GANG = 2
_START_LIMIT = 90.0
_LEAST = 200


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """Without any scheduler of gangs the control would be all there is to see."""
    if schedulers.found(facts):
        return None
    return failed(
        "",
        "no gang scheduler is served: neither Kueue, nor PodGroups of Kubernetes, Volcano or coscheduling",
        "install Kueue",
    )


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Each scheduler in turn, until one has been seen to do all of it."""
    ns.create()
    node, free = _roomiest(ns, facts)
    ns.note("room", node=node, free=free)
    if free < _LEAST:
        return
    for scheduler in schedulers.found(facts):
        if _shown(ns, scheduler, node, free):
            return


def _roomiest(ns: ProbeNamespace, facts: ClusterFacts) -> tuple[str, int]:
    """The node with the most processor time that nobody has asked for, in thousandths."""
    free = {each["name"]: thousandths(each["allocatable"]["cpu"]) for each in facts.ready_nodes()}
    for pod in ns.api.list("v1", "Pod"):
        node = pod["spec"].get("nodeName")
        if node in free and pod["status"].get("phase") not in ("Succeeded", "Failed"):
            free[node] -= requested(pod)
    best = max(free, key=lambda name: free[name], default="")
    return best, free.get(best, 0)


def requested(pod: Manifest) -> int:
    """What a pod's containers ask of processors, in thousandths."""
    containers = pod["spec"].get("containers", [])
    wanted = sum(thousandths(each.get("resources", {}).get("requests", {}).get("cpu", "0")) for each in containers)
    first = [
        each.get("resources", {}).get("requests", {}).get("cpu", "0") for each in pod["spec"].get("initContainers", [])
    ]
    return max([wanted, *(thousandths(each) for each in first)])


def _shown(ns: ProbeNamespace, scheduler: Scheduler, node: str, free: int) -> bool:
    """Whether all of it went as it should; the record has every step either way."""
    prefix = scheduler.name.split(" ")[0].lower()
    ns.note("scheduler", name=scheduler.name)
    scheduler.prepare(ns, free)

    def pod(share: float) -> Manifest:
        wanted = {"requests": {"cpu": f"{int(free * share)}m"}}
        return ns.pod_manifest(
            "unnamed", "sleep 900", container={"resources": wanted}, nodeSelector={"kubernetes.io/hostname": node}
        )

    fits = _begun(ns, scheduler.gang(ns, f"{prefix}-fits", GANG, pod(0.25)))
    all_started = _started(ns, f"{prefix}-fits", GANG)
    ns.note("case", scheduler=scheduler.name, case="fits", bound=_bound(ns, f"{prefix}-fits"), all=all_started)
    schedulers.remove(ns, fits)
    ns.wait("the gang's removal", lambda: not _pods(ns, f"{prefix}-fits"), _START_LIMIT)
    if not all_started:
        return False
    filler = _begun(ns, scheduler.gang(ns, f"{prefix}-filler", 1, pod(0.5)))
    if not _started(ns, f"{prefix}-filler", 1):
        ns.note("case", scheduler=scheduler.name, case="filler", bound=0, all=False)
        return False
    waits = _begun(ns, scheduler.gang(ns, f"{prefix}-waits", GANG, pod(0.35)))
    most = 0

    def look() -> None:
        nonlocal most
        most = max(most, _bound(ns, f"{prefix}-waits"))

    ns.watch_for(WINDOW / 2, look)
    # A gang that fits beside the filler: whoever holds everything back has not looked at the capacity.
    small = _begun(ns, scheduler.gang(ns, f"{prefix}-small", GANG, pod(0.1)))
    beside = _started(ns, f"{prefix}-small", GANG, look)
    ns.note("case", scheduler=scheduler.name, case="small", bound=_bound(ns, f"{prefix}-small"), all=beside)
    ns.watch_for(WINDOW / 2, look)
    schedulers.remove(ns, small)
    ns.wait("the small gang's removal", lambda: not _pods(ns, f"{prefix}-small"), _START_LIMIT)
    look()
    ns.note(
        "case",
        scheduler=scheduler.name,
        case="waits",
        # A pod that was bound and taken away between two looks has left an event.
        bound=max(most, _ever_scheduled(ns, f"{prefix}-waits")),
        seconds=WINDOW,
        reason=scheduler.reason(ns, f"{prefix}-waits"),
    )
    control = _begun(ns, schedulers.pods(f"{prefix}-control", GANG, pod(0.35), {}))
    ns.wait("a part of the control", lambda: _bound(ns, f"{prefix}-control"), 30)
    ns.watch_for(2, look)
    alone = _bound(ns, f"{prefix}-control")
    schedulers.remove(ns, control)
    ns.wait("the control's removal", lambda: not _pods(ns, f"{prefix}-control"), _START_LIMIT)
    look()
    late = max(most, _ever_scheduled(ns, f"{prefix}-waits"))
    ns.note("case", scheduler=scheduler.name, case="control", bound=alone, of=GANG, late=late)
    schedulers.remove(ns, filler)
    released = _started(ns, f"{prefix}-waits", GANG)
    ns.note(
        "case",
        scheduler=scheduler.name,
        case="released",
        bound=_bound(ns, f"{prefix}-waits"),
        all=released,
        pods=[pod_fields(each) for each in _pods(ns, f"{prefix}-waits")],
    )
    schedulers.remove(ns, waits)
    return released and not late


def _begun(ns: ProbeNamespace, manifests: list[Manifest]) -> list[Manifest]:
    for each in manifests:
        ns.apply(each)
    return manifests


def _pods(ns: ProbeNamespace, gang: str) -> list[Manifest]:
    return ns.list("v1", "Pod", f"{GROUP_LABEL}={gang}")


def _bound(ns: ProbeNamespace, gang: str) -> int:
    return sum(bool(each["spec"].get("nodeName")) for each in _pods(ns, gang))


def _ever_scheduled(ns: ProbeNamespace, gang: str) -> int:
    found = {
        each["involvedObject"].get("name", "")
        for each in ns.list("v1", "Event")
        if each.get("reason") == "Scheduled" and each["involvedObject"].get("kind") == "Pod"
    }
    return sum(name.startswith(f"{gang}-") for name in found)


def _started(ns: ProbeNamespace, gang: str, count: int, look: Callable[[], None] = lambda: None) -> bool:
    def running() -> bool:
        look()
        return [each["status"].get("phase") for each in _pods(ns, gang)].count("Running") == count

    return bool(ns.wait(f"{gang} to run", running, _START_LIMIT))
