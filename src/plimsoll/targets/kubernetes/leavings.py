"""What finished runs have left on a cluster: workloads that have ended, and what was made beside workloads.

A workload that ended well stays until its result counts: whoever resumes its run takes the result in. One that goes on
stays too, whoever has started it: the next run watches it. What serves is no leaving.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import msgspec

from plimsoll.kubernetes.api import Api, Manifest
from plimsoll.runtime.pod_task import TASK_VARIABLE, PodTask, decode_task
from plimsoll.targets.features import Leaving
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.cleanup import KINDS
from plimsoll.targets.kubernetes.ends import await_gone
from plimsoll.targets.kubernetes.listing import listed
from plimsoll.targets.kubernetes.own_objects import OwnObjects
from plimsoll.targets.kubernetes.reasons.workloads import ended
from plimsoll.targets.kubernetes.results import RegistryResults
from plimsoll.targets.kubernetes.run_lease import RunLease

KIND = "objects"
LIMIT = 120.0
"""Seconds for what is deleted to be gone."""
_WORKLOADS = frozenset({"Job", "JobSet", "TrainJob", "RayJob"})


class ClusterLeavings:
    """One application's leavings. `lease` excludes runs and takes what is said while it is waited for."""

    def __init__(
        self,
        api: Callable[[], Api],
        application: str,
        namespace: Callable[[], str],
        results: Callable[[], RegistryResults],
        lease: Callable[[Callable[[str], None]], RunLease],
    ) -> None:
        self._api = api
        self._application = application
        self._namespace = namespace
        self._results = results
        self._lease = lease

    def find(self, keys: Collection[str], say: Callable[[str], None]) -> Sequence[Leaving]:
        """What would go. It is read without the lease: a run may be at it."""
        return [Leaving(kind=KIND, name=_reference(each)) for each in self._objects(say)]

    def remove(self, keys: Collection[str], say: Callable[[str], None]) -> Sequence[Leaving]:
        """Delete it while no run goes on, nor begins. Raises TargetError while somebody's run does."""
        api, namespace = self._api(), self._namespace()
        if api.find("v1", "Namespace", namespace) is None:
            return ()
        lease = self._lease(say)
        try:
            lease.begin()
            own = OwnObjects(api, self._application, namespace)
            gone = [each for each in self._objects(say) if lease.holds() and own.delete(each)]
            uids = {each["metadata"]["uid"] for each in gone}

            def left() -> list[tuple[str, Manifest]]:
                found = ((each["kind"], own.find(each)) for each in gone)
                return [(kind, each) for kind, each in found if each is not None and each["metadata"]["uid"] in uids]

            await_gone(left, namespace, LIMIT)
        finally:
            lease.end()
        return [Leaving(kind=KIND, name=_reference(each)) for each in gone]

    def sizes(self) -> Mapping[str, int]:
        """Nothing on this machine."""
        return {}

    def _objects(self, say: Callable[[str], None]) -> Iterator[Manifest]:
        """Objects of steps that are over, what uses others before what is used."""
        for made in self._by_step():
            workloads = [each for each in made if each["kind"] in _WORKLOADS]
            reason = next((words for each in workloads if (words := self._why_kept(each))), "")
            if reason:
                say(reason)
            else:
                yield from made

    def _by_step(self) -> list[list[Manifest]]:
        selector = f"{names.selector(names.of_application(self._application))},{names.KEY}"
        steps: dict[str, list[Manifest]] = {}
        for api_version, kind, each in listed(self._api(), KINDS, self._namespace(), selector):
            metadata = each["metadata"]
            # What a controller has made for an object goes with it.
            if names.SERVICE not in metadata["labels"] and not metadata.get("ownerReferences"):
                found = {**each, "apiVersion": api_version, "kind": kind}
                steps.setdefault(metadata["labels"][names.KEY], []).append(found)
        return list(steps.values())

    def _why_kept(self, workload: Manifest) -> str:
        """Why a workload stays; empty when it goes."""
        state, _ = ended(workload)
        if not state:
            return f"{_reference(workload)} stays: it has not ended"
        task = task_of(workload)
        if state == "done" and (task is None or self._results().find(task.key) is None):
            return f"{_reference(workload)} stays: it has ended well, and no run has taken its result in yet"
        return ""


def task_of(workload: Manifest) -> PodTask | None:
    """The task of a workload's pods; None for a workload without one."""
    for value in _variables(workload.get("spec")):
        try:
            return decode_task(value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return None


def _variables(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        if value.get("name") == TASK_VARIABLE and isinstance(value.get("value"), str):
            yield value["value"]
        for each in value.values():
            yield from _variables(each)
    elif isinstance(value, list):
        for each in value:
            yield from _variables(each)


def _reference(found: Manifest) -> str:
    return f"{found['kind']}/{found['metadata']['name']}"
