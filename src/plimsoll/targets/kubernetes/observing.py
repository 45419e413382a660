"""Reads what Kubernetes says about things that wait: events, nodes' taints, a queue's word. What may not be read is
left out, once: a reason less is no reason to fail.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from plimsoll.kubernetes import nodes
from plimsoll.kubernetes.api import Api, ApiError, Manifest
from plimsoll.kubernetes.cluster import KUEUE
from plimsoll.targets.kubernetes.reasons.happenings import EVENTS, Event

Item = TypeVar("Item")
EVENTS_AGAIN = 2.0
"""Seconds between two looks at events: a fifth of the time within which a user is to know the reason."""
_MOST_EVENTS = 5000
"""A namespace that says more is in trouble of its own; the newest of what is read are enough for a reason."""
_SHARE = 4
_NODES_AGAIN = 10.0
_JOBSET_NAME = "jobset.sigs.k8s.io/jobset-name"
_JOB_UID = "kueue.x-k8s.io/job-uid"


class Observing:
    """What is said in one namespace, read no more often than a cluster can bear."""

    def __init__(self, api: Api, namespace: str, *, reads_nodes: bool = True) -> None:
        self._api = api
        self._namespace = namespace
        self._denied: set[str] = set() if reads_nodes else {"nodes"}
        self._events: tuple[float, Sequence[Event]] = (float("-inf"), ())
        self._by_uid: dict[str, list[Event]] = {}
        self._taints: tuple[float, tuple[str, ...]] = (float("-inf"), ())

    @property
    def blind(self) -> bool:
        """Whether events may not be read."""
        return "events" in self._denied

    def events(self) -> Sequence[Event]:
        """The events of the namespace, as of the last seconds."""
        due, known = self._events
        began = time.monotonic()
        if began < due:
            return known
        found = self._read("events", self._list_events)
        took = time.monotonic() - began
        # A namespace with thousands of them is not read all the time.
        self._events = (time.monotonic() + max(EVENTS_AGAIN, _SHARE * took), found)
        self._by_uid = {}
        for each in found:
            self._by_uid.setdefault(each.involved_object.uid, []).append(each)
        return found

    def about(self, uid: str) -> Sequence[Event]:
        """Those events of the namespace that are about one object."""
        self.events()
        return self._by_uid.get(uid, ())

    def taints(self) -> Sequence[str]:
        """The taints of nodes that keep pods off, each once, as `key: value`."""
        at, known = self._taints
        if time.monotonic() - at < _NODES_AGAIN:
            return known
        found = self._read("nodes", lambda: self._api.list("v1", "Node"))
        told = dict.fromkeys(
            f"{taint.key}: {taint.value}".removesuffix(": ")
            for node in found
            for taint in nodes.taints(node)
            if taint.keeps_pods_off
        )
        self._taints = (time.monotonic(), tuple(told))
        return self._taints[1]

    def is_cordoned(self, node: str) -> bool:
        """Whether a node takes no new pods, where nodes may be read."""
        found = self._read("nodes", lambda: [self._api.get("v1", "Node", node)])
        return any(not nodes.is_schedulable(each) for each in found)

    def queue_objects(self, owner: Manifest) -> Sequence[Manifest]:
        """Kueue's Workload of a job."""
        uid = owner["metadata"].get("uid", "")
        return self._listed(KUEUE, "Workload", f"{_JOB_UID}={uid}")

    def jobs_of(self, jobset: str) -> Sequence[Manifest]:
        """The Jobs of a JobSet, or of a TrainJob, whose JobSet has its name."""
        return self._listed("batch/v1", "Job", f"{_JOBSET_NAME}={jobset}")

    def _listed(self, api_version: str, kind: str, selector: str) -> Sequence[Manifest]:
        def read() -> list[Manifest]:
            served = self._api.serves(api_version, kind)
            return self._api.list(api_version, kind, self._namespace, selector) if served else []

        return self._read(kind, read)

    def _list_events(self) -> Sequence[Event]:
        found: list[Event] = []
        for page in self._api.pages("v1", "Event", EVENTS, self._namespace):
            found += page
            if len(found) >= _MOST_EVENTS:
                break
        return found

    def _read(self, what: str, read: Callable[[], Sequence[Item]]) -> Sequence[Item]:
        if what in self._denied:
            return ()
        try:
            return read()
        except ApiError as error:
            if error.status not in (403, 404):
                raise
            if error.status == 403:
                self._denied.add(what)
            return ()
