"""A workload from its first pod to its end: what is seen on the way, and how it went."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from plimsoll.errors import TargetError
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import Waiting, WorkerEnded, WorkerStarted
from plimsoll.kubernetes.api import ApiError, Manifest
from plimsoll.kubernetes.cluster import JOBSET, TRAINER
from plimsoll.targets.kubernetes import pods
from plimsoll.targets.kubernetes.attempt import ClusterAttempt
from plimsoll.targets.kubernetes.logs import FINISH_LIMIT, Follower
from plimsoll.targets.kubernetes.manifests.gang import SHARED, Workload
from plimsoll.targets.kubernetes.observing import Observing
from plimsoll.targets.kubernetes.patience import Patience
from plimsoll.targets.kubernetes.pods import Standing
from plimsoll.targets.kubernetes.reasons.cause import Cause
from plimsoll.targets.kubernetes.reasons.containers import main_of
from plimsoll.targets.kubernetes.reasons.endings import vanished
from plimsoll.targets.kubernetes.reasons.happenings import of_owner
from plimsoll.targets.kubernetes.reasons.removal import held_by
from plimsoll.targets.kubernetes.reasons.scheduling import leaves_taints_out
from plimsoll.targets.kubernetes.reasons.workloads import ended, overran, past_deadline, queued
from plimsoll.targets.kubernetes.watched_pods import watched_pods

LOOK = 0.5
"""Seconds between two looks: what a user notices as at once, and a cluster does not notice."""
REST = 2.0
"""Looks are so many times as far apart as one takes: thousands of pods are not asked for without a pause."""
SILENCE_LIMIT = 300.0
"""Seconds for which the API server may be away: an upgrade of a control plane takes minutes."""
LOST_LIMIT = 30.0
"""Seconds after which a pod that is to end on a node that does not answer is forgotten."""
LINGER_LIMIT = 3.0
"""Seconds for containers beside the one that does the work to end by themselves after it, as some meshes have them."""
SETTLED = 1.5
"""Seconds for which a refusal of pods is not told: webhooks refuse what they are to hear of in the next moment."""
NO_POD_YET = 5.0
"""Seconds after which it is told that a workload has no pods although nobody says why."""
_RAY_FAILURES = 5
"""Pods that may fail under KubeRay, for each worker: nodes die, and an image that lacks something does not mend."""


class Deleted(TargetError):
    """A workload that is watched is gone, and this run has not taken it away."""


class Watch:
    """The state of watching one workload.

    `reason` is why it failed; `lasting` says that another attempt would fail alike, for a pod says so itself, or the
    cluster has tried again as often as it should.
    """

    def __init__(self, attempt: ClusterAttempt[Any], workload: Workload) -> None:
        self.attempt = attempt
        self.workload = workload
        # A look that fails is told and tried again by this loop: requests that are patient themselves would be silent.
        self.api = attempt.context.api.hasty()
        self.namespace = attempt.context.namespace
        self.reason = ""
        self.lasting = workload.restarts
        self._of = attempt.step.workers
        self._observing = Observing(self.api, self.namespace, reads_nodes=bool(attempt.context.cluster.nodes))
        self._patience = Patience()
        self._started: dict[str, Manifest] = {}
        self._ended: set[str] = set()
        self._lasting = ""
        self._failures = 0
        self._workers: dict[str, int] = {}
        self._followers: dict[str, Follower] = {}
        self._said = ""
        self._leaving: dict[str, float] = {}
        self._removed: set[str] = set()
        self._lingering_since: float | None = None
        self._podless_since: float | None = None
        self._took = 0.0

    def until_end(self) -> Generator[Observation, None, str]:
        """Gives `done`, `failed` (then `reason` says why) or `stopped`; a stopped workload is taken away."""
        silent_since: float | None = None
        try:
            while True:
                self.attempt.context.lease.require()
                if self.attempt.stopping.is_set():
                    # Before logs are read to their end: they have none while their pods run.
                    remove(self.attempt, self.workload)
                    return "stopped"
                try:
                    state = yield from self._look()
                    silent_since = None
                except ApiError as error:
                    if error.status not in (0, 429, 500, 502, 503, 504):
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
        found = self._found()
        began = time.monotonic()
        seen = watched_pods(self.api, self.namespace, self.attempt.pods)
        self._took = time.monotonic() - began
        standings = [self._standing(pod) for pod in seen]
        # Those that went down with another are looked at after it: its reason is the one to tell.
        for pod, each in sorted(zip(seen, standings, strict=True), key=lambda both: both[1].deleted):
            yield from self._take(pod, each)
        yield from self._take_vanished(seen)
        self._forget_lost(seen)
        state, words = ended(found)
        if state == "done":
            return "done"
        if state == "failed":
            self.reason = self._deadline(found) or self.reason or words
            return "failed"
        if (yield from self._is_held_up(standings)):
            return "done"
        cause = self._podless(found, seen, standings)
        hopeless = self._hopeless(standings, cause)
        if hopeless:
            self.reason = hopeless
            return "failed"
        yield from self._say(self._waits(found, standings, cause))
        return ""

    def _found(self) -> Manifest:
        """The object that tells how it goes. Raises Deleted when somebody has deleted it."""
        found = self.api.find(*self.workload.watched, self.namespace)
        if found is None:
            _, kind, name = self.workload.watched
            told = f"the {kind} {name} is no longer there: somebody else, or a controller, has deleted it"
            raise Deleted(told, where=f"namespace {self.namespace}", hint="run again to start it anew")
        return found

    def _standing(self, pod: Manifest) -> Standing:
        events = self._observing.about(pod["metadata"]["uid"]) if pods.needs_events(pod) else ()
        taints = self._observing.taints() if leaves_taints_out(pod) else ()
        return pods.standing(pod, events, self._rank(pod), taints)

    def _take(self, pod: Manifest, each: Standing) -> Generator[Observation, None, None]:
        number = self.attempt.number
        if each.name not in self._started and each.phase in ("Running", "Succeeded", "Failed"):
            self._followers[each.name] = Follower(
                self.attempt, each.name, main_of(pod), each.rank, len(self._started) + 1
            )
            started = WorkerStarted(attempt=number, rank=each.rank, pid=0, pod=each.name, node=each.node)
            self._started[each.name] = pod
            yield self.attempt.seen(started)
        if each.name in self._started:
            self._started[each.name] = pod
        if each.ended and each.name not in self._ended:
            self._ended.add(each.name)
            if each.name in self._followers:
                self._followers[each.name].finish()
            if each.phase == "Failed":
                if not (self.reason and each.deleted):
                    self.reason = self._words(each)
                self._failures += 1
                if each.lasting:
                    self._lasting = self.reason
                    self.lasting = True
            yield self.attempt.seen(WorkerEnded(attempt=number, rank=each.rank, code=each.code, pod=each.name))

    def _take_vanished(self, seen: Sequence[Manifest]) -> Generator[Observation, None, None]:
        """Pods that ran and are gone although nobody saw how they ended."""
        there = {pod["metadata"]["name"] for pod in seen}
        for name, pod in self._started.items():
            if name in there or name in self._ended:
                continue
            self._ended.add(name)
            self._followers[name].finish()
            rank = self._rank(pod)
            rank = pods.rank_of(pod) if rank is None else rank
            said = self._from_outside(vanished(pod).text, pod["spec"].get("nodeName", ""))
            self.reason = self.reason or self._of_worker(rank, said)
            yield self.attempt.seen(WorkerEnded(attempt=self.attempt.number, rank=rank, pod=name))

    def _words(self, each: Standing) -> str:
        said = each.problem
        # An exit status alone says nothing.
        if each.name in self._followers and ": " not in said and "; " not in said and not each.disrupted:
            last = self._followers[each.name].last_words()
            said = f"{said or 'failed'}{': ' + last if last else ''}"
        if each.disrupted:
            said = self._from_outside(said, each.node)
        return self._of_worker(each.rank, said)

    def _from_outside(self, said: str, node: str) -> str:
        """The reason of a pod that was ended from outside, with the state of its node where that explains it.

        What nobody tries again is the user's to try.
        """
        cordoned = bool(node) and self._observing.is_cordoned(node)
        said = f"{said}; {node} is cordoned, as a node that is drained or taken down" if cordoned else said
        return said if self.attempt.step.retries else f"{said}; run again, or give the step `retries`"

    def _of_worker(self, rank: int, said: str) -> str:
        if self._of == 1:
            return said
        return f"worker {rank}: {said}" if said.startswith("the pod") else f"worker {rank} {said}"

    def _rank(self, pod: Manifest) -> int | None:
        """Of a worker of Ray, which has no number of its own: by the order in which they are seen."""
        if pod["metadata"].get("labels", {}).get("ray.io/node-type") != "worker":
            return None
        return self._workers.setdefault(pod["metadata"]["name"], len(self._workers) % max(1, self._of - 1) + 1)

    def _deadline(self, found: Manifest) -> str:
        """That the step's time has passed, where that is why the cluster ended it."""
        timeout = getattr(self.attempt.step.work, "timeout", None)
        if timeout is None:
            return ""
        objects = [found]
        api_version, _, name = self.workload.watched
        if api_version in (JOBSET, TRAINER):
            objects += self._observing.jobs_of(name)
        return overran(timeout) if past_deadline(objects) else ""

    def _is_held_up(self, standings: Sequence[Standing]) -> Generator[Observation, None, bool]:
        """Whether only containers that others put into the pods keep a good workload from its end; then it is removed.

        A pod that failed is deleted: its controller then sees that it has failed.
        """
        lingering = [each for each in standings if each.lingering]
        if not lingering:
            self._lingering_since = None
            return False
        self._lingering_since = self._lingering_since or time.monotonic()
        if time.monotonic() - self._lingering_since < LINGER_LIMIT:
            return False
        beside = ", ".join(dict.fromkeys(name for each in lingering for name in each.lingering))
        pod = lingering[0].name
        text = f"the container {beside} goes on in the pod {pod}, whose own work has ended; it is ended with the pod"
        yield from self._say(text)
        for each in lingering:
            if each.phase == "Failed" and each.name not in self._removed and self.attempt.may_end:
                self._removed.add(each.name)
                failed = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": each.name}}
                self.attempt.context.own.delete(failed)
        if len({each.rank for each in standings if each.phase == "Succeeded"}) < self._of:
            return False
        remove(self.attempt, self.workload)
        return True

    def _podless(self, found: Manifest, seen: Sequence[Manifest], standings: Sequence[Standing]) -> Cause | None:
        """Why a workload lacks pods that it should have, when that is said anywhere."""
        if found["spec"].get("suspend") or len(standings) >= self._of:
            self._podless_since = None
            return None
        self._podless_since = self._podless_since or time.monotonic()
        _, kind, name = self.workload.watched
        after = max((pod["metadata"]["creationTimestamp"] for pod in (found, *seen)), default="")
        cause = of_owner(name, self.namespace, self._observing.events(), after)
        lasted = time.monotonic() - self._podless_since
        if cause is not None or lasted < NO_POD_YET:
            return cause if lasted >= SETTLED else None
        missing = self._of - len(standings)
        why = "no event says why"
        if self._observing.blind:
            why = f"why stands in events, for which the right is missing to list them in namespace {self.namespace}"
        return Cause(kind="podless", text=f"the {kind} {name} lacks {missing} of its {self._of} pods; {why}")

    def _waits(self, found: Manifest, standings: Sequence[Standing], cause: Cause | None) -> str:
        """What it waits for, in one sentence; empty when it goes on."""
        if found["metadata"].get("deletionTimestamp"):
            _, kind, name = self.workload.watched
            return f"somebody else deletes the {kind} {name}, which waits for {held_by(found)}"
        if found["spec"].get("suspend"):
            return queued(found, self._observing.queue_objects(found))
        if any(each.phase == "Terminating" or each.deleted for each in standings) and self._deadline(found):
            return f"its time limit of {getattr(self.attempt.step.work, 'timeout', 0):g} s has passed, and its pods end"
        return cause.text if cause is not None else pods.summary(standings, self._of)

    def _hopeless(self, standings: Sequence[Standing], podless: Cause | None) -> str:
        # KubeRay makes pods that fail anew without an end.
        if self._lasting or (self.workload.watched[1] == "RayJob" and self._failures > _RAY_FAILURES * self._of):
            return self._lasting or self.reason
        over = self._patience.exhausted(self._causes(standings, podless))
        if over is None:
            return ""
        self.lasting = self.lasting or over.lasting
        return over.text

    def _causes(self, standings: Sequence[Standing], podless: Cause | None) -> Iterator[tuple[str, Cause]]:
        for each in standings:
            if each.cause is not None:
                yield each.name, each.cause
        if podless is not None:
            yield self.workload.watched[2], podless

    def _forget_lost(self, seen: Sequence[Manifest]) -> None:
        """Delete pods of ours that cannot end, for nobody is there to end them: the gang could not start anew."""
        for pod in seen:
            name = pod["metadata"]["name"]
            if not pod["metadata"].get("deletionTimestamp"):
                continue
            since = self._leaving.setdefault(name, time.monotonic())
            if time.monotonic() - since > LOST_LIMIT and self.attempt.may_end:
                self.attempt.context.own.delete({**pod, "apiVersion": "v1", "kind": "Pod"}, grace=0)

    def _say(self, text: str) -> Generator[Observation, None, None]:
        if text and text != self._said:
            yield self.attempt.seen(Waiting(attempt=self.attempt.number, reason=text))
        self._said = text


def remove(attempt: ClusterAttempt[Any], workload: Workload) -> None:
    """Take a workload away with its pods, unless it is another run's."""
    if not attempt.may_end:
        return
    for each in reversed(workload.objects):
        if each["kind"] not in SHARED:
            attempt.context.own.delete(each)


def gone(attempt: ClusterAttempt[Any], limit: float, over: threading.Event | None = None) -> bool:
    """Wait until no pod of the attempt's step is left."""
    api, namespace = attempt.context.api, attempt.context.namespace
    deadline = time.monotonic() + limit
    while api.list("v1", "Pod", namespace, attempt.pods):
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK)
    return True
