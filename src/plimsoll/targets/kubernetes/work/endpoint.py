"""A service by an Endpoint of Amazon SageMaker: its objects applied, and looked at until requests are answered.

Nobody here may ask the Endpoint itself: that is a call to AWS with credentials for it.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence

from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import Waiting
from plimsoll.kinds.serve import Serve, ServeResult
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import SAGEMAKER
from plimsoll.targets.attempt import STOPPED, AttemptOutcome, Progress, done, failed
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.attempt import ClusterAttempt, ClusterContext
from plimsoll.targets.kubernetes.manifests.groups import ServedVersions
from plimsoll.targets.kubernetes.reasons.ack import AckState, endpoint_state, refusal_of
from plimsoll.targets.kubernetes.work.cutover import remove_obsolete

LOOK = 5.0
"""Seconds between two looks."""
READY_LIMIT = 3600.0
"""Seconds for an Endpoint to answer: SageMaker starts machines, pulls the image and waits for the container."""
UNSEEN_LIMIT = 300.0
"""Seconds for a controller to look at a new object."""


def bring_up(attempt: ClusterAttempt[Serve], served: ServedVersions, manifests: Sequence[Manifest]) -> Progress:
    """Apply a service's objects, wait until it answers, and remove what it was made of before."""
    context, began = attempt.context, time.monotonic()
    context.own.require(manifests)
    for manifest in manifests:
        if told := context.own.apply(manifest):
            yield attempt.seen(Waiting(attempt=attempt.number, reason=told))
    unready = yield from _until_ready(attempt, manifests)
    if unready is not None:
        return unready
    if removed := remove_obsolete(context, served.service, manifests, attempt.stopping):
        yield attempt.seen(Waiting(attempt=attempt.number, reason=f"{removed} objects of before are removed"))
    result = ServeResult(
        model=", ".join(f"{each.name}@{each.version}" for each in served.file.models),
        digest=served.file.models[0].digest,
        seconds_to_ready=round(time.monotonic() - began, 3),
        url=endpoint_address(served.objects_name),
    )
    context.state.fresh_work(attempt.step.key)
    context.state.commit(attempt.step.key, result)
    return done(result)


def endpoint_address(name: str) -> str:
    """What an Endpoint is called where addresses stand."""
    return f"sagemaker:{name}"


def is_answering(context: ClusterContext, name: str, key: str) -> bool:
    """Whether the Endpoint is that of a step with this key, and answers."""
    found = context.api.find(SAGEMAKER, "Endpoint", name, context.namespace)
    if found is None or (found["metadata"].get("annotations") or {}).get(names.KEY) != key:
        return False
    return endpoint_state(found).state == "done"


def _until_ready(
    attempt: ClusterAttempt[Serve], manifests: Sequence[Manifest]
) -> Generator[Observation, None, AttemptOutcome | None]:
    began, said = time.monotonic(), ""
    theirs = [each for each in manifests if each["apiVersion"] == SAGEMAKER]
    while not attempt.stopped:
        attempt.context.lease.require()
        found = _state(attempt.context, theirs)
        lasted = time.monotonic() - began
        if found.state == "done":
            return None
        if found.state == "failed":
            return failed(found.words, lasting=found.lasting)
        if found.silent and lasted > UNSEEN_LIMIT:
            return failed(f"no controller of SageMaker has looked at it within {UNSEEN_LIMIT:g} s; is it running?")
        if lasted > READY_LIMIT:
            return failed(f"the Endpoint does not answer after {READY_LIMIT:g} s: {found.words}")
        if found.words != said:
            yield attempt.seen(Waiting(attempt=attempt.number, reason=found.words))
        said = found.words
        attempt.stopping.wait(LOOK)
    return STOPPED


def _state(context: ClusterContext, manifests: Sequence[Manifest]) -> AckState:
    """How the Endpoint stands; what of the others is refused comes first, for it waits for them."""
    standing = [context.own.find(each) or each for each in manifests]
    for each in standing:
        if (refused := refusal_of(each)) is not None:
            return refused
    return endpoint_state(standing[-1])
