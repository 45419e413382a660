"""A gang that fits, a gang beside a filler, and the same pods without a gang."""

from __future__ import annotations

from collections.abc import Callable

from plimsoll.capabilities.facts import Facts
from plimsoll.capabilities.gang_scheduling import schedulers
from plimsoll.capabilities.gang_scheduling.schedulers import GROUP_LABEL, Scheduler
from plimsoll.capabilities.probe_namespace import Stage, described
from plimsoll.evidence.verdict import Verdict, failed
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.quantities import thousandths

WINDOW = 20.0
GANG = 2
_START_LIMIT = 90.0
_LEAST = 200


def obstacle(facts: Facts) -> Verdict | None:
    """Without any scheduler of gangs the control would be all there is to see."""
    if schedulers.found(facts):
        return None
    return failed(
        "",
        "no gang scheduler is served: neither Kueue, nor PodGroups of Kubernetes, Volcano or coscheduling",
        "install Kueue",
    )


def observe(stage: Stage, facts: Facts) -> None:
    """Each scheduler in turn, until one has been seen to do all of it."""
    stage.open()
    node, free = _roomiest(stage, facts)
    stage.note("room", node=node, free=free)
    if free < _LEAST:
        return
    for scheduler in schedulers.found(facts):
        if _shown(stage, scheduler, node, free):
            return


def _roomiest(stage: Stage, facts: Facts) -> tuple[str, int]:
    """The node with the most processor time that nobody has asked for, in thousandths."""
    free = {each["name"]: thousandths(each["allocatable"]["cpu"]) for each in facts.ready_nodes()}
    for pod in stage.api.list("v1", "Pod"):
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


def _shown(stage: Stage, scheduler: Scheduler, node: str, free: int) -> bool:
    """Whether all of it went as it should; the record has every step either way."""
    prefix = scheduler.name.split(" ")[0].lower()
    stage.note("scheduler", name=scheduler.name)
    scheduler.prepare(stage, free)

    def pod(share: float) -> Manifest:
        wanted = {"requests": {"cpu": f"{int(free * share)}m"}}
        return stage.pod_manifest(
            "unnamed", "sleep 900", container={"resources": wanted}, nodeSelector={"kubernetes.io/hostname": node}
        )

    fits = _begun(stage, scheduler.gang(stage, f"{prefix}-fits", GANG, pod(0.25)))
    all_started = _started(stage, f"{prefix}-fits", GANG)
    stage.note("case", scheduler=scheduler.name, case="fits", bound=_bound(stage, f"{prefix}-fits"), all=all_started)
    schedulers.remove(stage, fits)
    stage.wait("the gang's removal", lambda: not _pods(stage, f"{prefix}-fits"), _START_LIMIT)
    if not all_started:
        return False
    filler = _begun(stage, scheduler.gang(stage, f"{prefix}-filler", 1, pod(0.5)))
    if not _started(stage, f"{prefix}-filler", 1):
        stage.note("case", scheduler=scheduler.name, case="filler", bound=0, all=False)
        return False
    waits = _begun(stage, scheduler.gang(stage, f"{prefix}-waits", GANG, pod(0.35)))
    most = 0

    def look() -> None:
        nonlocal most
        most = max(most, _bound(stage, f"{prefix}-waits"))

    stage.hold(WINDOW / 2, look)
    # A gang that fits beside the filler: whoever holds everything back has not looked at the capacity.
    small = _begun(stage, scheduler.gang(stage, f"{prefix}-small", GANG, pod(0.1)))
    beside = _started(stage, f"{prefix}-small", GANG, look)
    stage.note("case", scheduler=scheduler.name, case="small", bound=_bound(stage, f"{prefix}-small"), all=beside)
    stage.hold(WINDOW / 2, look)
    schedulers.remove(stage, small)
    stage.wait("the small gang's removal", lambda: not _pods(stage, f"{prefix}-small"), _START_LIMIT)
    look()
    stage.note(
        "case",
        scheduler=scheduler.name,
        case="waits",
        # A pod that was bound and taken away between two looks has left an event.
        bound=max(most, _ever_scheduled(stage, f"{prefix}-waits")),
        seconds=WINDOW,
        reason=scheduler.reason(stage, f"{prefix}-waits"),
    )
    control = _begun(stage, schedulers.pods(f"{prefix}-control", GANG, pod(0.35), {}))
    stage.wait("a part of the control", lambda: _bound(stage, f"{prefix}-control"), 30)
    stage.hold(2, look)
    alone = _bound(stage, f"{prefix}-control")
    schedulers.remove(stage, control)
    stage.wait("the control's removal", lambda: not _pods(stage, f"{prefix}-control"), _START_LIMIT)
    look()
    late = max(most, _ever_scheduled(stage, f"{prefix}-waits"))
    stage.note("case", scheduler=scheduler.name, case="control", bound=alone, of=GANG, late=late)
    schedulers.remove(stage, filler)
    released = _started(stage, f"{prefix}-waits", GANG)
    stage.note(
        "case",
        scheduler=scheduler.name,
        case="released",
        bound=_bound(stage, f"{prefix}-waits"),
        all=released,
        pods=[described(each) for each in _pods(stage, f"{prefix}-waits")],
    )
    schedulers.remove(stage, waits)
    return released and not late


def _begun(stage: Stage, manifests: list[Manifest]) -> list[Manifest]:
    for each in manifests:
        stage.apply(each)
    return manifests


def _pods(stage: Stage, gang: str) -> list[Manifest]:
    return stage.list("v1", "Pod", f"{GROUP_LABEL}={gang}")


def _bound(stage: Stage, gang: str) -> int:
    return sum(bool(each["spec"].get("nodeName")) for each in _pods(stage, gang))


def _ever_scheduled(stage: Stage, gang: str) -> int:
    found = {
        each["involvedObject"].get("name", "")
        for each in stage.list("v1", "Event")
        if each.get("reason") == "Scheduled" and each["involvedObject"].get("kind") == "Pod"
    }
    return sum(name.startswith(f"{gang}-") for name in found)


def _started(stage: Stage, gang: str, count: int, look: Callable[[], None] = lambda: None) -> bool:
    def running() -> bool:
        look()
        return [each["status"].get("phase") for each in _pods(stage, gang)].count("Running") == count

    return bool(stage.wait(f"{gang} to run", running, _START_LIMIT))
