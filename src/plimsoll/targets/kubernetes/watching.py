"""A workload from its first pod to its end: what is seen on the way, and how it went."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import Waiting, WorkerEnded, WorkerStarted
from plimsoll.kubernetes.api import ApiError, Manifest
from plimsoll.targets.kubernetes import pods
from plimsoll.targets.kubernetes.attempt import ClusterAttempt
from plimsoll.targets.kubernetes.logs import FINISH_LIMIT, Follower
from plimsoll.targets.kubernetes.manifests.gang import Workload
from plimsoll.targets.kubernetes.pods import Standing
from plimsoll.targets.kubernetes.watched_pods import watched_pods

LOOK = 0.5
"""Seconds between two looks: what a user notices as at once, and a cluster does not notice."""
REST = 2.0
"""Looks are so many times as far apart as one takes: thousands of pods are not asked for without a pause."""
SILENCE_LIMIT = 300.0
"""Seconds for which the API server may be away: an upgrade of a control plane takes minutes."""
PULL_LIMIT = 120.0
"""Seconds for which an image may fail to be pulled: registries have bad moments, wrong names do not pass."""
LOST_LIMIT = 30.0
"""Seconds after which a pod that is to end on a node that does not answer is forgotten."""
_RAY_FAILURES = 5
"""Pods that may fail under KubeRay, for each worker: nodes die, and an image that lacks something does not mend."""
_DONE = ("Complete", "Completed", "Succeeded")


class Watch:
    """The state of watching one workload.

    `reason` is why it failed; `lasting` says that another attempt would fail alike, for a pod says so itself, or the
    cluster has tried again as often as it should.
    """

    def __init__(self, attempt: ClusterAttempt[Any], workload: Workload) -> None:
        self.attempt = attempt
        self.workload = workload
        self.api = attempt.context.api
        self.namespace = attempt.context.namespace
        self.reason = ""
        self.lasting = workload.restarts
        self._of = attempt.step.workers
        self._started: dict[str, Standing] = {}
        self._ended: set[str] = set()
        self._lasting = ""
        self._failures = 0
        self._workers: dict[str, int] = {}
        self._followers: dict[str, Follower] = {}
        self._said = ""
        self._pulling: dict[str, float] = {}
        self._leaving: dict[str, float] = {}
        self._took = 0.0

    def until_end(self) -> Generator[Observation, None, str]:
        """Gives `done`, `failed` (then `reason` says why) or `stopped`; a stopped workload is taken away."""
        silent_since: float | None = None
        try:
            while True:
                if self.attempt.stopping.is_set():
                    # Before logs are read to their end: they have none while their pods run.
                    remove(self.attempt, self.workload)
                    return "stopped"
                try:
                    state = yield from self._look()
                    silent_since = None
                except ApiError as error:
                    if error.status not in (0, 500, 503, 504):
                        raise
                    silent_since = silent_since or time.monotonic()
                    yield from self._say(f"the API server does not answer ({error.status or 'no connection'})")
                    if time.monotonic() - silent_since > SILENCE_LIMIT:
                        raise
                    state = ""
                if state:
                    return state
                self.attempt.stopping.wait(max(LOOK, REST * self._took))
        finally:
            deadline = time.monotonic() + FINISH_LIMIT
            for follower in self._followers.values():
                follower.finish(max(0.0, deadline - time.monotonic()))

    def _look(self) -> Generator[Observation, None, str]:
        found = self.api.get(*self.workload.watched, self.namespace)
        began = time.monotonic()
        seen = watched_pods(self.api, self.namespace, self.attempt.pods)
        self._took = time.monotonic() - began
        standings = [pods.standing(pod, rank=self._rank(pod)) for pod in seen]
        for pod, each in zip(seen, standings, strict=True):
            yield from self._take(pod, each)
        self._forget_lost(seen)
        state, words = ended(found)
        if state == "done":
            return "done"
        if state == "failed":
            self.reason = self.reason or words
            return "failed"
        hopeless = self._hopeless(standings)
        if hopeless:
            self.reason = hopeless
            return "failed"
        yield from self._say(queued(found) or pods.summary(standings, self._of))
        return ""

    def _take(self, pod: Manifest, each: Standing) -> Generator[Observation, None, None]:
        number = self.attempt.number
        if each.name not in self._started and each.phase in ("Running", "Succeeded", "Failed"):
            self._started[each.name] = each
            self._followers[each.name] = Follower(self.attempt, each.name, each.rank, len(self._started))
            started = WorkerStarted(attempt=number, rank=each.rank, pid=0, pod=each.name, node=each.node)
            yield self.attempt.seen(started)
        if each.ended and each.name not in self._ended:
            self._ended.add(each.name)
            if each.name in self._followers:
                self._followers[each.name].finish()
            if each.phase == "Failed":
                self.reason = self.reason if self._is_aftermath(pod) else self._words(each)
                self._failures += 1
                if (report := pods.report_of(pod)) and report.lasting:
                    self._lasting = self.reason
                    self.lasting = True
            yield self.attempt.seen(WorkerEnded(attempt=number, rank=each.rank, code=each.code, pod=each.name))

    def _words(self, each: Standing) -> str:
        who = f"worker {each.rank} " if self._of > 1 else ""
        said = each.problem
        if each.name in self._followers and ": " not in said:
            last = self._followers[each.name].last_words()
            said = f"{said or 'failed'}{': ' + last if last else ''}"
        return f"{who}{said}"

    def _is_aftermath(self, pod: Manifest) -> bool:
        """Whether this one only went down with another, whose reason is the one to tell."""
        return bool(self.reason) and bool(pod["metadata"].get("deletionTimestamp"))

    def _rank(self, pod: Manifest) -> int | None:
        """Of a worker of Ray, which has no number of its own: by the order in which they are seen."""
        if pod["metadata"].get("labels", {}).get("ray.io/node-type") != "worker":
            return None
        return self._workers.setdefault(pod["metadata"]["name"], len(self._workers) % max(1, self._of - 1) + 1)

    def _hopeless(self, standings: Sequence[Standing]) -> str:
        # KubeRay makes pods that fail anew without an end.
        if self._lasting or (self.workload.watched[1] == "RayJob" and self._failures > _RAY_FAILURES * self._of):
            return self._lasting or self.reason
        for each in standings:
            if each.hopeless:
                return each.problem
            if "cannot be pulled" not in each.problem:
                self._pulling.pop(each.name, None)
            elif time.monotonic() - self._pulling.setdefault(each.name, time.monotonic()) > PULL_LIMIT:
                return each.problem
        return ""

    def _forget_lost(self, seen: Sequence[Manifest]) -> None:
        """Delete pods of ours that cannot end, for nobody is there to end them: the gang could not start anew."""
        for pod in seen:
            name = pod["metadata"]["name"]
            if not pod["metadata"].get("deletionTimestamp"):
                continue
            since = self._leaving.setdefault(name, time.monotonic())
            if time.monotonic() - since > LOST_LIMIT:
                self.api.delete("v1", "Pod", name, self.namespace, grace=0)

    def _say(self, text: str) -> Generator[Observation, None, None]:
        if text and text != self._said:
            yield self.attempt.seen(Waiting(attempt=self.attempt.number, reason=text))
        self._said = text


def ended(found: Mapping[str, Any]) -> tuple[str, str]:
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


def queued(found: Mapping[str, Any]) -> str:
    """That a queue holds the whole workload back; empty when none does."""
    return "the queue has not admitted it yet" if found.get("spec", {}).get("suspend") else ""


def remove(attempt: ClusterAttempt[Any], workload: Workload) -> None:
    """Take a workload away with its pods."""
    for each in reversed(workload.objects):
        if each["kind"] != "LocalQueue":
            attempt.context.api.delete(
                each["apiVersion"], each["kind"], each["metadata"]["name"], attempt.context.namespace
            )


def gone(attempt: ClusterAttempt[Any], limit: float, over: threading.Event | None = None) -> bool:
    """Wait until no pod of the attempt's step is left."""
    api, namespace = attempt.context.api, attempt.context.namespace
    deadline = time.monotonic() + limit
    while api.list("v1", "Pod", namespace, attempt.pods):
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK)
    return True
