"""A training by Amazon SageMaker: its TrainingJob applied, looked at until its end, and the result taken.

The object is all that is on the cluster. Logs are in CloudWatch, under the name that is told when it begins.
"""

from __future__ import annotations

import time
from collections.abc import Generator

from plimsoll.errors import TargetError
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import Waiting, WorkloadFound
from plimsoll.kinds.train import TrainGang
from plimsoll.kubernetes.api import Api, ApiError, Manifest
from plimsoll.kubernetes.cluster import SAGEMAKER
from plimsoll.runtime.sagemaker import ENTRY
from plimsoll.targets.attempt import STOPPED, AttemptOutcome, Progress, done, failed
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.attempt import ClusterAttempt, ClusterContext
from plimsoll.targets.kubernetes.manifests.sagemaker import KIND, PROVIDER, limit_of, runs_on_sagemaker, training_job
from plimsoll.targets.kubernetes.pod_tasks import pod_task_of
from plimsoll.targets.kubernetes.reasons.ack import AckState, training_state
from plimsoll.targets.kubernetes.watching import SILENCE_LIMIT, Deleted
from plimsoll.targets.kubernetes.work.pods import code_image, curve_here, run_in_pods, taken
from plimsoll.targets.stopping import StoppedWhen
from plimsoll.waits import waiting_for

LOOK = 5.0
"""Seconds between two looks: the controller asks SageMaker less often than that."""
UNSEEN_LIMIT = 300.0
"""Seconds for a controller to look at a new object."""
GONE_LIMIT = 300.0
"""Seconds for a job of before to be gone: SageMaker gives a container two minutes to end."""
PENDING_LIMIT = 24 * 3600.0
"""Seconds beyond its time limit after which a job is given up that says nothing of its end."""

_PASSING = (0, 429, 500, 502, 503, 504)
"""Answers of an API server that is away for a while."""

Seen = Generator[Observation, None, AckState]


def train(attempt: ClusterAttempt[TrainGang]) -> Progress:
    """Train in pods, or where the file says so by SageMaker."""
    if not runs_on_sagemaker(attempt.step, attempt.context.chosen):
        return (yield from run_in_pods(attempt))
    outcome = yield from _carried(attempt)
    return outcome or done(taken(attempt))


def _carried(attempt: ClusterAttempt[TrainGang]) -> Generator[Observation, None, AttemptOutcome | None]:
    context = attempt.context
    with waiting_for(f"the image of {attempt.step.name} to be in the registry"):
        job = _job(attempt)
    if not (yield from _is_under_way(attempt, job)):
        context.own.require([job])
        context.own.apply(job)
        called = job["spec"]["trainingJobName"]
        log = f"SageMaker calls it {called}; its log is /aws/sagemaker/TrainingJobs in CloudWatch"
        yield attempt.seen(Waiting(attempt=attempt.number, reason=log))
    with curve_here(attempt):
        try:
            found = yield from followed_training(attempt)
        except Deleted as error:
            return failed(error.message)
    if attempt.stopped:
        if attempt.may_end:
            context.own.delete(job)
        return STOPPED
    if found.state == "failed":
        if attempt.may_end:
            context.own.delete(job)
        return failed(found.words, lasting=found.lasting)
    return None


def followed_training(attempt: ClusterAttempt[TrainGang]) -> Seen:
    """Look at the job until it has ended, or the attempt is stopped; what it waits for is told once until it changes.

    Raises Deleted when it is gone.
    """
    api, limit = attempt.context.api.hasty(), limit_of(attempt.step)
    began, answered, said = time.monotonic(), time.monotonic(), ""
    while not attempt.stopped:
        attempt.context.lease.require()
        try:
            found = training_state(_standing(attempt, api), limit)
            answered = time.monotonic()
        except ApiError as error:
            if error.status not in _PASSING or time.monotonic() - answered > SILENCE_LIMIT:
                raise
            found = AckState(words=f"the API server does not answer ({error.status or 'no connection'})")
        found = _in_time(found, time.monotonic() - began, limit)
        if found.state:
            return found
        if found.words and found.words != said:
            yield attempt.seen(Waiting(attempt=attempt.number, reason=found.words))
        said = found.words
        attempt.stopping.wait(LOOK)
    return AckState()


def _in_time(found: AckState, lasted: float, limit: float) -> AckState:
    """The state, unless it has been one for too long."""
    words = ""
    if found.silent and lasted > UNSEEN_LIMIT:
        words = f"no controller of SageMaker has looked at it within {UNSEEN_LIMIT:g} s; is it running?"
    elif not found.state and lasted > limit + PENDING_LIMIT:
        words = f"SageMaker has not ended it {PENDING_LIMIT:g} s after its time limit"
    return AckState(state="failed", words=words) if words else found


def watched_training(attempt: ClusterAttempt[TrainGang]) -> Generator[Observation, None, str]:
    """Look at the job of another run while it is that one's; gives why it failed, when it did."""
    lease = attempt.context.lease
    watching = attempt.watching(StoppedWhen(lambda: attempt.stopped or not lease.joined))
    try:
        found = yield from followed_training(watching)
    except Deleted:
        # The other run has taken it away, or has not made it yet.
        return ""
    return found.words if found.state == "failed" else ""


def _standing(attempt: ClusterAttempt[TrainGang], api: Api) -> Manifest:
    """The job as it stands. Raises Deleted where there is none."""
    found = api.find(SAGEMAKER, KIND, attempt.name, attempt.context.namespace)
    if found is None:
        told = f"the TrainingJob {attempt.name} is no longer there: somebody else has deleted it"
        raise Deleted(told, where=f"namespace {attempt.context.namespace}", hint="run again to start it anew")
    return found


def _job(attempt: ClusterAttempt[TrainGang]) -> Manifest:
    context, step = attempt.context, attempt.step
    place = context.cluster.sagemaker
    if place is None:
        raise TargetError("the target no longer says how SageMaker is used", where=step.name, lasting=True)
    task = pod_task_of(step, attempt.name, PROVIDER, context.results)
    image = _image(attempt, context)
    labels = names.of_step(context.application, step)
    mark = f"{context.run} {attempt.number}"
    return training_job(attempt.name, mark, step, task, image, place, labels)


def _image(attempt: ClusterAttempt[TrainGang], context: ClusterContext) -> str:
    """The step's image, which starts the task by itself, as root: SageMaker gives no command, and no user."""
    return code_image(attempt.step, context, starts=ENTRY)


def _is_under_way(attempt: ClusterAttempt[TrainGang], job: Manifest) -> Generator[Observation, None, bool]:
    """Whether the job is there already; one that has ended is removed first, and so is one that is to be done again."""
    own, context = attempt.context.own, attempt.context
    own.require([job])
    found = own.find(job)
    if found is None:
        return False
    forced = attempt.step.name in context.forced and attempt.number == 1
    ended = training_state(found, limit_of(attempt.step)).state
    if ended == "failed" or forced or found["metadata"].get("deletionTimestamp"):
        own.delete(job)
        _await_gone(attempt, job)
        if forced:
            context.results.begin_anew(attempt.step.key)
        return False
    yield attempt.seen(WorkloadFound(attempt=attempt.number, workload=attempt.name))
    return True


def _await_gone(attempt: ClusterAttempt[TrainGang], job: Manifest) -> None:
    deadline = time.monotonic() + GONE_LIMIT
    with waiting_for(f"the end of the TrainingJob {attempt.name}"):
        while attempt.context.own.find(job) is not None and not attempt.stopped:
            if time.monotonic() > deadline:
                told = f"the TrainingJob {attempt.name} of before did not end within {GONE_LIMIT:g} s"
                hint = "see its finalizers and the controller of SageMaker, and run again"
                raise TargetError(told, where=f"namespace {attempt.context.namespace}", hint=hint)
            attempt.stopping.wait(min(LOOK, 0.5))
