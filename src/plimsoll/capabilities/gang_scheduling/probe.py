"""Creates a gang that fits, a gang beside a filler, and the same pods without a gang."""

from __future__ import annotations

from collections.abc import Callable

from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.gang_scheduling import schedulers
from plimsoll.capabilities.gang_scheduling.records import Case, NodeRoom, SchedulerTried
from plimsoll.capabilities.gang_scheduling.schedulers import GROUP_LABEL, Scheduler
from plimsoll.capabilities.pods import pod_fields
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.capabilities.records import PodState
from plimsoll.evidence.verdict import Verdict, failed
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.quantities import thousandths

WINDOW = 20.0
GANG = 2
_START_LIMIT = 90.0
_LEAST = 200


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """The probe needs a gang scheduler."""
    if schedulers.found(facts):
        return None
    return failed(
        "",
        "the cluster serves no gang scheduler: neither Kueue, nor PodGroups of Kubernetes, Volcano or coscheduling",
        "install Kueue",
    )


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Test each scheduler in turn, until one passes every case by placement."""
    ns.create()
    node, free = _node_with_most_room(ns, facts)
    ns.note(NodeRoom(node=node, free=free))
    if free < _LEAST:
        return
    left = schedulers.found(facts)
    while left:
        scheduler, *left = left
        others = tuple(each.name for each in left)
        ns.note(SchedulerTried(name=scheduler.name, by=scheduler.by, others=others))
        if _passes(ns, scheduler, node, free):
            return


def _node_with_most_room(ns: ProbeNamespace, facts: ClusterFacts) -> tuple[str, int]:
    """The node with the most unrequested processor time, in thousandths of a processor."""
    free = {each.name: thousandths(each.allocatable["cpu"]) for each in facts.ready_nodes()}
    for pod in ns.api.list("v1", "Pod"):
        node = pod["spec"].get("nodeName")
        if node in free and pod["status"].get("phase") not in ("Succeeded", "Failed"):
            free[node] -= requested(pod)
    best = max(free, key=lambda name: free[name], default="")
    return best, free.get(best, 0)


def requested(pod: Manifest) -> int:
    """The processor time that a pod requests, in thousandths of a processor."""
    containers = pod["spec"].get("containers", [])
    wanted = sum(thousandths(each.get("resources", {}).get("requests", {}).get("cpu", "0")) for each in containers)
    first = [
        each.get("resources", {}).get("requests", {}).get("cpu", "0") for each in pod["spec"].get("initContainers", [])
    ]
    return max([wanted, *(thousandths(each) for each in first)])


def _passes(ns: ProbeNamespace, scheduler: Scheduler, node: str, free: int) -> bool:
    """Whether the scheduler passes every case, by placement too; the record has each case either way."""
    prefix = scheduler.name.split(" ")[0].lower()
    scheduler.prepare(ns, free)

    def pod(share: float) -> Manifest:
        wanted = {"requests": {"cpu": f"{int(free * share)}m"}}
        return ns.pod_manifest(
            "unnamed", "sleep 900", container={"resources": wanted}, nodeSelector={"kubernetes.io/hostname": node}
        )

    fits = _create(ns, scheduler.gang(ns, f"{prefix}-fits", GANG, pod(0.25)))
    all_started = _started(ns, f"{prefix}-fits", GANG)
    ns.note(Case(scheduler=scheduler.name, case="fits", bound=_bound(ns, f"{prefix}-fits"), all=all_started))
    schedulers.remove(ns, fits)
    ns.wait("the gang's removal", lambda: not _pods(ns, f"{prefix}-fits"), _START_LIMIT)
    if not all_started:
        return False
    filler = _create(ns, scheduler.gang(ns, f"{prefix}-filler", 1, pod(0.5)))
    if not _started(ns, f"{prefix}-filler", 1):
        ns.note(Case(scheduler=scheduler.name, case="filler", bound=0, all=False))
        return False
    if not _Waiting(ns, scheduler, prefix, pod).passes(filler):
        return False
    return _holds_beside_others(ns, scheduler, prefix, pod)


def _holds_beside_others(
    ns: ProbeNamespace, scheduler: Scheduler, prefix: str, pod: Callable[[float], Manifest]
) -> bool:
    """Whether a gang waits as a whole where a pod that the scheduler does not manage holds the processors.

    The gang is within every quota, so that admission alone lets it in and the node takes a part of it.
    """
    crowd, name = f"{prefix}-crowd", f"{prefix}-beside"
    ns.wait("the gang's removal", lambda: not _pods(ns, f"{prefix}-waits"), _START_LIMIT)
    taken = _create(ns, schedulers.pods(crowd, 1, pod(0.5), {}))
    if not _started(ns, crowd, 1):
        ns.note(Case(scheduler=scheduler.name, case="crowd", bound=0, all=False))
        return False
    gang = _create(ns, scheduler.gang(ns, name, GANG, pod(0.35)))
    most = [0]

    def look() -> None:
        most[0] = max(most[0], _bound(ns, name))

    ns.watch_for(WINDOW / 2, look)
    bound = max(most[0], _ever_scheduled(ns, name))
    schedulers.remove(ns, taken)
    started = _started(ns, name, GANG)
    ns.note(Case(scheduler=scheduler.name, case="beside", bound=bound, seconds=WINDOW / 2, all=started))
    schedulers.remove(ns, gang)
    return started and not bound


class _Waiting:
    """The cases of a gang that waits beside the filler: `most` is how many of its pods were ever seen bound."""

    def __init__(self, ns: ProbeNamespace, scheduler: Scheduler, prefix: str, pod: Callable[[float], Manifest]) -> None:
        self._ns = ns
        self._scheduler = scheduler
        self._prefix = prefix
        self._pod = pod
        self._name = f"{prefix}-waits"
        self._most = 0

    def passes(self, filler: list[Manifest]) -> bool:
        """Whether the gang waits as a whole, and starts as a whole once the filler is deleted."""
        ns, name = self._ns, self._scheduler.name
        waits = _create(ns, self._scheduler.gang(ns, self._name, GANG, self._pod(0.35)))
        ns.watch_for(WINDOW / 2, self._look)
        small = self._small()
        ns.watch_for(WINDOW / 2, self._look)
        schedulers.remove(ns, small)
        ns.wait("the small gang's removal", lambda: not _pods(ns, f"{self._prefix}-small"), _START_LIMIT)
        reason = self._scheduler.reason(ns, self._name)
        bound = self._ever_bound()
        ns.note(Case(scheduler=name, case="waits", bound=bound, seconds=WINDOW, reason=reason))
        late = self._control()
        schedulers.remove(ns, filler)
        released = _started(ns, self._name, GANG)
        states = tuple(PodState(**pod_fields(each)) for each in _pods(ns, self._name))
        ns.note(Case(scheduler=name, case="released", bound=_bound(ns, self._name), all=released, pods=states))
        schedulers.remove(ns, waits)
        return released and not late

    def _look(self) -> None:
        self._most = max(self._most, _bound(self._ns, self._name))

    def _ever_bound(self) -> int:
        """A pod that was bound and deleted between two looks has left an event."""
        self._look()
        return max(self._most, _ever_scheduled(self._ns, self._name))

    def _small(self) -> list[Manifest]:
        """A gang that fits beside the filler: a scheduler that holds it back does not decide by capacity."""
        name = f"{self._prefix}-small"
        small = _create(self._ns, self._scheduler.gang(self._ns, name, GANG, self._pod(0.1)))
        beside = _started(self._ns, name, GANG, self._look)
        self._ns.note(Case(scheduler=self._scheduler.name, case="small", bound=_bound(self._ns, name), all=beside))
        return small

    def _control(self) -> int:
        """The same pods without a gang. Returns how many pods of the waiting gang were bound by now."""
        ns, name = self._ns, f"{self._prefix}-control"
        control = _create(ns, schedulers.pods(name, GANG, self._pod(0.35), {}))
        ns.wait("a part of the control", lambda: _bound(ns, name), 30)
        ns.watch_for(2, self._look)
        alone = _bound(ns, name)
        schedulers.remove(ns, control)
        ns.wait("the control's removal", lambda: not _pods(ns, name), _START_LIMIT)
        late = self._ever_bound()
        ns.note(Case(scheduler=self._scheduler.name, case="control", bound=alone, of=GANG, late=late))
        return late


def _create(ns: ProbeNamespace, manifests: list[Manifest]) -> list[Manifest]:
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
