"""The failover of a service on a cluster: its route knows the standby, and what moves the weights runs beside it."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Generator
from typing import cast

import msgspec
from msgspec.structs import replace

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import PlimsollError, TargetError
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import Waiting
from plimsoll.kinds.failover import FailOver, FailoverResult, Standby
from plimsoll.kinds.serve import Serve
from plimsoll.kubernetes.port_forward import to_service
from plimsoll.planning.steps import Step
from plimsoll.targets.attempt import STOPPED, AttemptOutcome, Progress, done, failed
from plimsoll.targets.kubernetes.attempt import ClusterAttempt, ClusterContext
from plimsoll.targets.kubernetes.manifests.failover import LOOKS, failover_name
from plimsoll.targets.kubernetes.manifests.groups import ServedVersions
from plimsoll.targets.kubernetes.manifests.groups import Standby as StandbyPlace
from plimsoll.targets.kubernetes.manifests.serving import objects
from plimsoll.targets.kubernetes.promotion_lease import PromotionLease
from plimsoll.targets.kubernetes.standing import Record, flaws, records
from plimsoll.targets.kubernetes.work.rollout import Waits, roll_out
from plimsoll.targets.kubernetes.work.serve import serve

SEEN_LIMIT = 60.0
"""Seconds within which the standby has to answer from the service's target."""
LOOK = 1.0
_SECONDS, _LARGEST = 5.0, 1 << 16
"""Seconds for one answer, and its bytes."""


@decodable
class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What the page says: why the standby is not ready, empty where it is; and whether requests go to it."""

    standby: str
    leads: bool


def stand_by(attempt: ClusterAttempt[Standby]) -> Progress:
    """A service like another one, whose way in it has too."""
    return serve(cast("ClusterAttempt[Serve]", attempt))


def fail_over(attempt: ClusterAttempt[FailOver]) -> Progress:
    """Have the route know the standby, and prove that pods of this cluster reach it."""
    context, work = attempt.context, attempt.work
    record = _record(context, work.service)
    if record is None:
        raise TargetError(f"the service {work.service} is not up", where=context.cluster.target, hint="run again")
    if not work.address:
        raise TargetError(f"{work.to} does not say where {work.standby} is", where=work.to, hint="run again")
    known = record.served.standby
    leads = known is not None and known.leads
    standby = StandbyPlace(address=work.address, to=work.to, after=work.after, back=work.back, leads=leads)
    served = replace(record.served, standby=standby)
    PromotionLease(context.api, context.application, context.namespace, served.objects_name).require_none()
    manifests = objects(served, context.cluster, record.providers or context.chosen)
    unready = yield from _recorded(attempt, roll_out(context, served.key, manifests, attempt.stopping))
    if unready is None:
        unready = yield from _recorded(attempt, _until_seen(context, served, work, attempt.stopping))
    if unready is not None:
        return unready
    result = FailoverResult(service=work.service, address=work.address)
    context.state.fresh_work(attempt.step.key)
    context.state.commit(attempt.step.key, result)
    return done(result)


def fails_over(step: Step[FailOver], context: ClusterContext) -> FailoverResult | None:
    """The result while the failover stands as the step says; None where it has to be carried out."""
    work, record = step.work, _record(context, step.work.service)
    known = context.state.result(step.key, FailoverResult)
    standby = record.served.standby if record is not None else None
    if record is None or standby is None or known is None:
        return None
    as_said = (standby.to, standby.after, standby.back) == (work.to, work.after, work.back)
    there = standby.address == (work.address or standby.address)
    if not as_said or not there or flaws(context.own, record, context.cluster, context.chosen):
        return None
    return known


def _record(context: ClusterContext, service: str) -> Record | None:
    known = records(context.api, context.application, context.namespace)
    return next((each for each in known if each.served.service == service), None)


def _recorded(attempt: ClusterAttempt[FailOver], waits: Waits) -> Generator[Observation, None, AttemptOutcome | None]:
    while True:
        try:
            reason = next(waits)
        except StopIteration as end:
            outcome: AttemptOutcome | None = end.value
            return outcome
        yield attempt.seen(Waiting(attempt=attempt.number, reason=reason))


def _until_seen(context: ClusterContext, served: ServedVersions, work: FailOver, stopping: threading.Event) -> Waits:
    """Wait until the process beside the service has had an answer of the standby."""
    deadline, last = time.monotonic() + SEEN_LIMIT, ""
    while True:
        reason = _unseen(context, served)
        if not reason:
            return None
        if stopping.is_set():
            return STOPPED
        words = f"pods of {context.cluster.target} do not reach {work.standby} at {work.address}: {reason}"
        if time.monotonic() > deadline:
            return failed(f"{words}; open the way, or name another address with failover.at")
        if words != last:
            last = words
            yield words
        stopping.wait(LOOK)


def _unseen(context: ClusterContext, served: ServedVersions) -> str:
    """Why the standby has not answered; empty once it has."""
    try:
        with to_service(context.api, context.namespace, failover_name(served.objects_name)) as address:
            connection = http.client.HTTPConnection(address, timeout=_SECONDS)
            try:
                connection.request("GET", LOOKS)
                with connection.getresponse() as answer:
                    return msgspec.json.decode(answer.read(_LARGEST), type=Seen).standby
            finally:
                connection.close()
    except PlimsollError as error:
        return error.message
    except (OSError, http.client.HTTPException, *UNREADABLE) as error:
        return f"{type(error).__name__} when it was asked"
