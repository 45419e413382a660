"""Steps of a run that watches another one of the same content: what that one does is looked at, and not done again."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import cast

from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import Waiting
from plimsoll.kinds.brought import Bring
from plimsoll.kinds.dataset import Fetch
from plimsoll.kinds.environment import MakeEnvironment
from plimsoll.kinds.failover import FailOver
from plimsoll.kinds.index_release import ReleaseIndex
from plimsoll.kinds.llm import PrepareLlm
from plimsoll.kinds.register import Register
from plimsoll.kinds.serve import Serve
from plimsoll.kinds.train import TrainGang
from plimsoll.kubernetes.api import Manifest
from plimsoll.planning.steps import Step, Work
from plimsoll.state.results import Result
from plimsoll.targets.attempt import STOPPED, AttemptOutcome, Progress, W, done, failed
from plimsoll.targets.kubernetes.attempt import ClusterAttempt
from plimsoll.targets.kubernetes.keeping import keep_here
from plimsoll.targets.kubernetes.manifests import gang
from plimsoll.targets.kubernetes.manifests.sagemaker import runs_on_sagemaker
from plimsoll.targets.kubernetes.watching import Deleted, Watch
from plimsoll.targets.kubernetes.work.failover import fails_over
from plimsoll.targets.kubernetes.work.sagemaker import watched_training
from plimsoll.targets.kubernetes.work.serve import standing
from plimsoll.targets.stopping import StoppedWhen

LOOK = 1.0
"""Seconds between two looks at whether the other run is further on."""

Executor = Callable[[ClusterAttempt[W]], Progress]


def joining(execute: Executor[W]) -> Executor[W]:
    """Carry work out when it is this run's to do, and watch it while it is another's."""

    def carried_out(attempt: ClusterAttempt[W]) -> Progress:
        attempt.context.lease.require()
        if attempt.context.lease.joined and not _is_done_here(attempt.work):
            outcome = yield from _followed(attempt)
            if outcome is not None:
                return outcome
        return (yield from execute(attempt))

    return carried_out


def _is_done_here(work: Work) -> bool:
    """Whether work is done on this machine, and leaves nothing on the cluster but content in the registry."""
    return isinstance(work, (MakeEnvironment, Bring, PrepareLlm, Register, ReleaseIndex)) or (
        isinstance(work, Fetch) and "://" not in work.source
    )


def _followed(attempt: ClusterAttempt[W]) -> Generator[Observation, None, AttemptOutcome | None]:
    """Watch the step until it has a result; gives None when it is this run's turn to carry it out."""
    lease, whose, failure = attempt.context.lease, "", ""
    while True:
        lease.require()
        if attempt.stopped:
            return STOPPED
        result = _found(attempt)
        if result is not None:
            return done(result)
        if not lease.joined:
            # The run that was watched has ended. What failed there fails here as well.
            if failure:
                return failed(f"{failure} (in {whose})", lasting=True)
            yield attempt.seen(Waiting(attempt=attempt.number, reason=lease.word))
            return None
        if whose != lease.joined:
            whose = lease.joined
            yield attempt.seen(Waiting(attempt=attempt.number, reason=f"{whose} is at it{lease.since}"))
        if not isinstance(attempt.work, (Serve, FailOver)):
            failure = (yield from _watched(attempt)) or failure
        attempt.stopping.wait(LOOK)


def _watched(attempt: ClusterAttempt[W]) -> Generator[Observation, None, str]:
    """Look at the workload as long as it is there and the other run's; gives why it failed, when it did."""
    context, lease = attempt.context, attempt.context.lease
    if runs_on_sagemaker(attempt.step, context.chosen):
        return (yield from watched_training(cast("ClusterAttempt[TrainGang]", attempt)))
    workload = gang.followed(
        gang.provider_of(attempt.step, context.chosen), attempt.name, attempt.step, context.cluster
    )
    if context.api.find(*workload.watched, context.namespace) is None:
        return ""
    watch = Watch(attempt.watching(StoppedWhen(lambda: attempt.stopped or not lease.joined)), workload)
    try:
        state = yield from watch.until_end()
    except Deleted:
        # The other run has taken it away.
        return ""
    if state != "failed" or _is_leaving(context.api.find(*workload.watched, context.namespace)):
        # Pods that go with their workload are no failure of the work.
        return ""
    return watch.reason or "it failed without a reason"


def _is_leaving(found: Manifest | None) -> bool:
    return found is None or bool(found["metadata"].get("deletionTimestamp"))


def _found(attempt: ClusterAttempt[W]) -> Result | None:
    """The result that the other run has left, when it has."""
    context, step = attempt.context, attempt.step
    if isinstance(step.work, Serve):
        return standing(cast("Step[Serve]", step), context)
    if isinstance(step.work, FailOver):
        return fails_over(cast("Step[FailOver]", step), context)
    result = context.results.result(step.key, step.work.result)
    if result is not None:
        keep_here(step, context)
    return result
