"""A command, a training or a batch in pods: manifests applied, watched to their end, and the result taken."""

from __future__ import annotations

from collections.abc import Generator

from plimsoll.errors import MissingExtra, TargetError
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import WorkloadFound
from plimsoll.kinds.batch import Score
from plimsoll.kinds.dataset import Fetch, RunCommand
from plimsoll.kinds.model import TrainGang
from plimsoll.planning.steps import AnyStep
from plimsoll.state.results import Result
from plimsoll.targets.attempt import STOPPED, AttemptOutcome, Progress, W, done, failed
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.attempt import ClusterAttempt, ClusterContext
from plimsoll.targets.kubernetes.manifests import gang
from plimsoll.targets.kubernetes.manifests.claims import claim_template
from plimsoll.targets.kubernetes.manifests.models import MODEL, with_models
from plimsoll.targets.kubernetes.manifests.pod import task_pod, with_credentials
from plimsoll.targets.kubernetes.pod_tasks import pod_task_of, result_tag
from plimsoll.targets.kubernetes.watching import Watch, ended, gone, remove
from plimsoll.targets.kubernetes.work.register import pushed, version_of

_GONE_LIMIT = 60.0


def run_in_pods(attempt: ClusterAttempt[W]) -> Progress:
    """Start the workload, or find it; watch it; take its result in."""
    ended = yield from carry(attempt, workload_of(attempt.step, attempt.name, attempt.context))
    return ended or done(_taken(attempt))


def carry(attempt: ClusterAttempt[W], workload: gang.Workload) -> Generator[Observation, None, AttemptOutcome | None]:
    """Start the workload, or find it, and watch it to its end; what the attempt comes to when it is not a good one."""
    context = attempt.context
    if not (yield from _is_under_way(attempt, workload)):
        for manifest in workload.objects:
            context.api.apply({**manifest, "metadata": {**manifest["metadata"], "namespace": context.namespace}})
    watch = Watch(attempt, workload)
    state = yield from watch.until_end()
    if state == "stopped":
        return STOPPED
    if state == "failed":
        remove(attempt, workload)
        gone(attempt, _GONE_LIMIT)
        return failed(watch.reason or "it failed without a reason", lasting=watch.lasting)
    return None


def workload_of(step: AnyStep, name: str, context: ClusterContext) -> gang.Workload:
    """The objects of a step. The same step gives the same objects."""
    work = step.work
    model = None
    if isinstance(work, Score):
        model = pushed(version_of(work.model, work.register_key, context), context)
    mount = context.cluster.mounts_images
    provider = gang.provider_of(step, context.chosen)
    task = pod_task_of(step, name, provider, context.results, model, mount=mount)
    labels = names.of_step(context.application, step)
    pod = task_pod(task, step, _image(step, context), context.cluster, labels, context.images.architectures())
    if isinstance(step.work, Fetch):
        pod = with_credentials(pod)
    if model is not None:
        pod = with_models(pod, {MODEL: model}, context.images.runtime(), context.application)
    made = gang.workload(provider, name, step, pod, labels, context.cluster)
    template = claim_template(context.cluster, step, labels)
    if template is None:
        return made
    return gang.Workload(objects=(template, *made.objects), watched=made.watched, restarts=made.restarts)


_EXTRAS = {"s3": ("s3",), "gs": ("gcs",)}


def _image(step: AnyStep, context: ClusterContext) -> str:
    if isinstance(step.work, Fetch):
        scheme = step.work.source.partition("://")[0]
        return context.images.runtime(*_EXTRAS.get(scheme, ()))
    if isinstance(step.work, Score):
        return image_that_reads(step.work.input.file, context)
    assert isinstance(step.work, (RunCommand, TrainGang))  # noqa: S101 - nothing else runs the user's code
    code = [(each.name, each.digest) for each in step.ingredients if each.kind == "code"]
    environments = [(each.name, each.digest) for each in step.ingredients if each.kind == "environment"]
    return context.images.of_step(code, environments[0] if step.work.environment is not None else None)


def image_that_reads(file: str | None, context: ClusterContext, *extras: str) -> str:
    """The image that reads a table; where its kind is known only later, one that reads every kind."""
    if file is not None:
        return context.images.runtime(*(("parquet",) if file.endswith(".parquet") else ()), *extras)
    try:
        return context.images.runtime("parquet", *extras)
    except MissingExtra:
        return context.images.runtime(*extras)


def _is_under_way(attempt: ClusterAttempt[W], workload: gang.Workload) -> Generator[Observation, None, bool]:
    """Whether the workload is there already; one of this key that failed before is removed first.

    What is under way must not be applied again: queues hand workloads in suspended, so that an admitted gang would be
    suspended anew, and lose what it has done since its last checkpoint.
    """
    found = attempt.context.api.find(*workload.watched, attempt.context.namespace)
    if found is None:
        return False
    if ended(found)[0] == "failed" or found["metadata"].get("deletionTimestamp"):
        remove(attempt, workload)
        gone(attempt, _GONE_LIMIT)
        return False
    yield attempt.seen(WorkloadFound(attempt=attempt.number, workload=workload.watched[2]))
    return True


def _taken(attempt: ClusterAttempt[W]) -> Result:
    """The result that the pods have left in the registry."""
    context, step = attempt.context, attempt.step
    if result_tag(step) != step.key:
        context.results.seal(result_tag(step), step.key)
    result = context.results.result(step.key, attempt.work.result)
    if result is None:
        raise TargetError("the workload ended well, and its result is not in the registry", where=step.name)
    if attempt.work.kept_here:
        context.results.fetch(step.key, attempt.work.result, context.state)
    return result
