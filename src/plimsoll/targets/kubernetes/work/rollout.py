"""The rollout of a service's objects: applied in an order in which no request finds nobody, until all are ready."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator, Sequence

from msgspec import Struct

from plimsoll.kubernetes.api import Api, Manifest
from plimsoll.kubernetes.objects import has_condition
from plimsoll.targets.attempt import STOPPED, AttemptOutcome, failed
from plimsoll.targets.kubernetes import names, pods
from plimsoll.targets.kubernetes.attempt import ClusterContext
from plimsoll.targets.kubernetes.made_deployments import LLM_SERVICE, as_owned
from plimsoll.targets.kubernetes.manifests.kserve import deployment_of
from plimsoll.targets.kubernetes.manifests.llm_inference_service import main_of, prefill_of
from plimsoll.targets.kubernetes.manifests.llm_inference_service import reason as reason_of
from plimsoll.targets.kubernetes.manifests.llm_inference_service import refusal as refusal_of
from plimsoll.targets.kubernetes.observing import Observing
from plimsoll.targets.kubernetes.patience import Patience
from plimsoll.targets.kubernetes.reasons.cause import Cause
from plimsoll.targets.kubernetes.reasons.scheduling import leaves_taints_out
from plimsoll.targets.kubernetes.reasons.workloads import unmade
from plimsoll.targets.kubernetes.watching import LOOK, SETTLED
from plimsoll.targets.kubernetes.work.cutover import LEADING, applied, lead

GATEWAY_LIMIT = 60.0
"""Seconds for a new gateway to take requests."""
READY_LIMIT = 300.0
"""Seconds for all servers of a service to be ready: nodes may have to pull its image first."""
_PATIENCE = 3
"""Restarts after which what a container says of its end is taken for the reason."""

Waits = Generator[str, None, AttemptOutcome | None]
"""What a rollout waits for, as it changes, in words; and the outcome when it is not going to be ready."""


def roll_out(context: ClusterContext, key: str, manifests: Sequence[Manifest], stopping: threading.Event) -> Waits:
    """Apply a service's objects and wait until its servers are ready and its gateway takes requests.

    `key` is of the step whose servers these are. Routes are applied once their servers are ready.
    """
    held = [each for each in manifests if each["kind"] in LEADING]
    if sharers := context.own.require(manifests):
        who = " and ".join(sharers)
        yield f"{who} applies objects of the service too: give it the same (plimsoll plan --output yaml)"
    yield from applied(context, (each for each in manifests if each not in held))
    servers = [awaited for each in manifests for awaited in _awaited(each)]
    unready = yield from _until_ready(context, key, servers, stopping)
    if unready is not None:
        return unready
    if not (yield from lead(context, held, stopping)):
        return STOPPED
    yield from _until_programmed(context, manifests, stopping)
    return None


def is_rolled_out(deployment: Manifest) -> bool:
    """Whether every server of a Deployment is of its newest version, and available.

    While servers of before are still there, those that are available may be these: all of them must be new.
    """
    status, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    counts = {status.get(each, 0) for each in ("replicas", "updatedReplicas", "availableReplicas")}
    return bool(status.get("observedGeneration", 0) >= deployment["metadata"]["generation"] and counts == {wanted})


def is_of(deployment: Manifest, key: str) -> bool:
    """Whether a Deployment is of the step with this key."""
    return bool(deployment["metadata"].get("annotations", {}).get(names.KEY) == key)


def _until_programmed(context: ClusterContext, manifests: Sequence[Manifest], stopping: threading.Event) -> Waits:
    """Wait until the gateway takes requests. Without it the service is still reached from inside."""
    deadline = time.monotonic() + GATEWAY_LIMIT
    for gateway in (each for each in manifests if each["kind"] == "Gateway"):
        while not has_condition(context.own.find(gateway) or {}, "Programmed"):
            if stopping.is_set():
                return None
            if time.monotonic() > deadline:
                yield f"the gateway takes no requests after {GATEWAY_LIMIT:g} s"
                return None
            stopping.wait(LOOK)
    return None


class _Awaited(Struct, frozen=True, kw_only=True):
    """A Deployment by its name, with the mark of its pods: who makes it may not have seen the newest version yet.

    `owner` is the object that KServe makes it for.
    """

    name: str
    content: str
    owner: Manifest | None = None


def _awaited(manifest: Manifest) -> Iterator[_Awaited]:
    """The Deployments that an object is, or becomes."""
    name, kind, spec = manifest["metadata"]["name"], manifest["kind"], manifest.get("spec", {})
    if kind == "Deployment":
        yield _Awaited(name=name, content=spec["template"]["metadata"]["annotations"][names.CONTENT])
    elif kind == "InferenceService":
        content = spec["predictor"]["annotations"][names.CONTENT]
        yield _Awaited(name=deployment_of(name), content=content, owner=manifest)
    elif kind == LLM_SERVICE:
        yield _Awaited(name=main_of(name), content=spec["annotations"][names.CONTENT], owner=manifest)
        if "prefill" in spec:
            content = spec["prefill"]["annotations"][names.CONTENT]
            yield _Awaited(name=prefill_of(name), content=content, owner=manifest)


def _has(deployment: Manifest, content: str) -> bool:
    annotations = deployment["spec"]["template"]["metadata"].get("annotations", {})
    return bool(annotations.get(names.CONTENT) == content)


def _found(context: ClusterContext, awaited: _Awaited) -> Manifest | None:
    """The Deployment, with the key of its step where that stands on what it is made for."""
    made = context.api.find("apps/v1", "Deployment", awaited.name, context.namespace)
    if made is None or awaited.owner is None or awaited.owner["kind"] != LLM_SERVICE:
        return made
    owner = context.own.find(awaited.owner)
    return as_owned(made, owner) if owner is not None else made


def _unmade(context: ClusterContext, awaited: _Awaited) -> Unready:
    """Why KServe has not made a Deployment, or not anew."""
    owner = awaited.owner
    found = context.own.find(owner) if owner is not None and owner["kind"] == LLM_SERVICE else None
    return Unready(reason=reason_of(found or {}), refusal=refusal_of(found or {}))


def _until_ready(context: ClusterContext, key: str, waiting: list[_Awaited], stopping: threading.Event) -> Waits:
    """Wait until every server is ready; gives the outcome when that is not going to be."""
    last = ""
    observing = Observing(context.api, context.namespace, reads_nodes=bool(context.cluster.nodes))
    patience = Patience()
    began = time.monotonic()
    deadline = began + READY_LIMIT
    while waiting:
        awaited = waiting[0]
        deployment = _found(context, awaited)
        newest = deployment is not None and is_of(deployment, key) and _has(deployment, awaited.content)
        if deployment and newest and is_rolled_out(deployment):
            waiting.pop(0)
            continue
        if stopping.is_set():
            return STOPPED
        if deployment and (newest or awaited.owner is None):
            standing = unready(context.api, deployment, observing)
        else:
            standing = _unmade(context, awaited)
        over = patience.exhausted((awaited.name, cause) for cause in standing.causes)
        reason = standing.refusal or (over.text if over is not None else standing.reason)
        settled = over is not None or time.monotonic() - began >= SETTLED
        if settled and reason and reason != last:
            yield reason
            last = reason
        if standing.refusal or over is not None:
            return failed(reason, lasting=over is not None and over.lasting)
        if time.monotonic() > deadline:
            return failed(f"the service was not ready within {READY_LIMIT:g} s: {reason or 'no reason is given'}")
        stopping.wait(LOOK)
    return None


class Unready(Struct, frozen=True, kw_only=True):
    """Why servers are not ready. `refusal` is what one has said that fails again and again as it starts."""

    reason: str
    causes: tuple[Cause, ...] = ()
    refusal: str = ""


def unready(api: Api, deployment: Manifest, observing: Observing) -> Unready:
    """Why the newest pods of a Deployment are not ready."""
    namespace, wanted = deployment["metadata"]["namespace"], deployment["spec"].get("replicas", 1)
    selector = names.selector(deployment["spec"]["selector"]["matchLabels"])
    key = deployment["spec"]["template"]["metadata"]["annotations"][names.CONTENT]
    newest = [
        pod
        for pod in api.list("v1", "Pod", namespace, selector)
        if pod["metadata"].get("annotations", {}).get(names.CONTENT) == key
    ]
    states = [
        pods.standing(
            pod,
            observing.about(pod["metadata"]["uid"]) if pods.needs_events(pod) else (),
            taints=observing.taints() if leaves_taints_out(pod) else (),
        )
        for pod in newest
    ]
    causes = tuple(each.cause for each in states if each.cause is not None)
    refusal = next((reason for pod in newest if (reason := _refusal(pod))), "")
    if len(newest) < wanted and (cause := unmade(deployment, observing.events())) is not None:
        return Unready(reason=cause.text, causes=(cause, *causes), refusal=refusal)
    reason = pods.summary(states, wanted) or _unanswered(newest)
    return Unready(reason=reason, causes=causes, refusal=refusal)


def _unanswered(newest: Sequence[Manifest]) -> str:
    """The first server that runs and is not ready, by the container that is not."""
    for pod in newest:
        for each in pod.get("status", {}).get("containerStatuses", []):
            if "running" in each.get("state", {}) and not each.get("ready"):
                return f"the container {each['name']} of the pod {pod['metadata']['name']} runs and is not ready yet"
    return ""


def _refusal(pod: Manifest) -> str:
    """What a container says that has failed again and again, such as a model that no trusted key has signed."""
    status = pod.get("status", {})
    for each in (*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])):
        last = each.get("lastState", {}).get("terminated", {}) or each.get("state", {}).get("terminated", {})
        if each.get("restartCount", 0) >= _PATIENCE and last.get("message"):
            return f"{each['name']}: {last['message'].strip().splitlines()[-1][:300]}"
    return ""
