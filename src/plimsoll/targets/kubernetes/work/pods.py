"""A command, a training, a batch or an index in pods: manifests applied, watched to their end, and the result taken."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import cast

from plimsoll.errors import MissingExtra, TargetError
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import Waiting, WorkloadFound
from plimsoll.kinds.batch import Score
from plimsoll.kinds.dataset import Fetch, RunCommand
from plimsoll.kinds.index import BuildIndex
from plimsoll.kinds.train import TrainGang
from plimsoll.planning.steps import AnyStep, Step
from plimsoll.state.results import Result
from plimsoll.targets.attempt import STOPPED, AttemptOutcome, Progress, W, done, failed
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.attempt import ClusterAttempt, ClusterContext
from plimsoll.targets.kubernetes.curves import followed_curve
from plimsoll.targets.kubernetes.keeping import keep_here
from plimsoll.targets.kubernetes.manifests import gang, mpi
from plimsoll.targets.kubernetes.manifests.claims import claim_template
from plimsoll.targets.kubernetes.manifests.identity import account_of_step, identity_objects, with_identity
from plimsoll.targets.kubernetes.manifests.isolation import isolated_pod, isolated_workload
from plimsoll.targets.kubernetes.manifests.models import BASE, MODEL, with_models
from plimsoll.targets.kubernetes.manifests.pod import task_pod, with_credentials
from plimsoll.targets.kubernetes.manifests.policies import alone
from plimsoll.targets.kubernetes.pod_tasks import pod_task_of, result_tag
from plimsoll.targets.kubernetes.reasons.workloads import ended
from plimsoll.targets.kubernetes.watching import Watch, gone, remove
from plimsoll.targets.kubernetes.work.indexing import indexing_of
from plimsoll.targets.kubernetes.work.register import pushed, version_of
from plimsoll.targets.models import require_scorable
from plimsoll.waits import waiting_for

_GONE_LIMIT = 60.0


def run_in_pods(attempt: ClusterAttempt[W]) -> Progress:
    """Start the workload, or find it; watch it; take its result in."""
    with waiting_for(f"the image of {attempt.step.name} to be in the registry"):
        workload = workload_of(attempt.step, attempt.name, attempt.context)
    ended = yield from carry(attempt, workload)
    return ended or done(taken(attempt))


def carry(attempt: ClusterAttempt[W], workload: gang.Workload) -> Generator[Observation, None, AttemptOutcome | None]:
    """Start the workload, or find it, and watch it to its end; what the attempt comes to when it is not a good one."""
    context = attempt.context
    if not (yield from _is_under_way(attempt, workload)):
        context.own.require(workload.objects)
        for manifest in workload.objects:
            if told := context.own.apply(manifest):
                yield attempt.seen(Waiting(attempt=attempt.number, reason=told))
        _tie_secrets(workload, context)
    watch = Watch(attempt, workload)
    with curve_here(attempt):
        state = yield from watch.until_end()
    if state == "stopped":
        return STOPPED
    if state == "failed":
        remove(attempt, workload)
        gone(attempt, _GONE_LIMIT)
        return failed(watch.reason or "it failed without a reason", lasting=watch.lasting)
    return None


def curve_here(attempt: ClusterAttempt[W]) -> contextlib.AbstractContextManager[None]:
    """Its curve on this machine while it trains."""
    if not isinstance(attempt.step.work, TrainGang):
        return contextlib.nullcontext()
    return followed_curve(attempt.context.results, attempt.step.key, attempt.context.state)


def _tie_secrets(workload: gang.Workload, context: ClusterContext) -> None:
    """Have Secrets go with their workload: whoever removes an application need not be allowed to read Secrets."""
    tied = [each for each in workload.objects if each["kind"] == "Secret"]
    if not tied:
        return
    api_version, kind, name = workload.watched
    uid = context.api.get(api_version, kind, name, context.namespace)["metadata"]["uid"]
    owner = {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid}
    for each in tied:
        context.own.apply({**each, "metadata": {**each["metadata"], "ownerReferences": [owner]}})


def workload_of(step: AnyStep, name: str, context: ClusterContext) -> gang.Workload:
    """The objects of a step. The same step gives the same objects."""
    work = step.work
    model, model_files = None, {}
    brought: dict[str, str] = {}
    if isinstance(work, Score):
        version = version_of(work.model, work.register_key, context)
        require_scorable(version)
        model = brought[MODEL] = pushed(version, context)
        model_files = {path: entry.digest for path, entry in version.files.items()}
    if isinstance(work, TrainGang) and work.base is not None:
        brought[BASE] = pushed(version_of(work.base.reference, work.base.register_key, context), context)
    mount = context.cluster.mounts_images
    provider = gang.provider_of(step, context.chosen)
    indexing = indexing_of(cast("Step[BuildIndex]", step), context) if isinstance(work, BuildIndex) else None
    index = indexing.task if indexing is not None else None
    task = pod_task_of(step, name, provider, context.results, model, model_files, mount=mount, index=index)
    labels = names.of_step(context.application, step)
    image = _image(step, context)
    pod = task_pod(task, step, image, context.cluster, labels, context.images.architectures())
    if isinstance(step.work, Fetch) and account_of_step(step, context.cluster) is None:
        # Keys of a Secret would come before the identity.
        pod = with_credentials(pod)
    pod = with_identity(pod, step, context.cluster)
    if brought:
        pod = with_models(pod, brought, context.images.runtime(), context.application)
    if indexing is not None and indexing.models:
        pod = with_models(pod, indexing.models, image, context.application)
    pod = isolated_pod(pod, step, context.cluster)
    if mpi.is_mpi_gang(step):
        pod = mpi.with_mpi(pod, name)
    made = gang.workload(provider, name, step, pod, labels, context.cluster)
    if mpi.is_mpi_gang(step):
        made = mpi.beside(made, name, labels)
    if indexing is not None:
        made = alone(made, name, labels, context.cluster)
    made = isolated_workload(made, name, labels, step, context.cluster)
    before = [
        *claim_template(context.application, step.resources, context.cluster),
        *identity_objects(step, context.cluster, context.application),
    ]
    return gang.Workload(objects=(*before, *made.objects), watched=made.watched, restarts=made.restarts)


_EXTRAS = {"s3": ("s3",), "gs": ("gcs",)}


def _image(step: AnyStep, context: ClusterContext) -> str:
    if isinstance(step.work, Fetch):
        scheme = step.work.source.partition("://")[0]
        return context.images.runtime(*_EXTRAS.get(scheme, ()))
    if isinstance(step.work, Score):
        return image_that_reads(step.work.input.file, context)
    if isinstance(step.work, BuildIndex):
        is_table = step.work.part.text is not None
        return image_that_reads(step.work.documents.file if is_table else "", context, "retrieval")
    return code_image(step, context)


def code_image(step: AnyStep, context: ClusterContext, starts: tuple[str, ...] = ()) -> str:
    """The image of a step that runs the user's code; `starts` is what it begins with where nobody says a command."""
    assert isinstance(step.work, (RunCommand, TrainGang))  # noqa: S101 - nothing else runs the user's code
    code = [(each.name, each.digest) for each in step.ingredients if each.kind == "code"]
    environments = [(each.name, each.digest) for each in step.ingredients if each.kind == "environment"]
    return context.images.of_step(code, environments[0] if step.work.environment is not None else None, starts=starts)


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

    So is one that ended well, for a step that is to be carried out again.

    What is under way must not be applied again: queues hand workloads in suspended, so that an admitted gang would be
    suspended anew, and lose what it has done since its last checkpoint.
    """
    own = attempt.context.own
    watched = next(each for each in workload.objects if each["kind"] == workload.watched[1])
    own.require([watched])
    found = own.find(watched)
    forced = attempt.step.name in attempt.context.forced
    over = ("done", "failed") if forced else ("failed",)
    if found is None or ended(found)[0] in over or found["metadata"].get("deletionTimestamp"):
        if found is not None:
            remove(attempt, workload)
            gone(attempt, _GONE_LIMIT)
        if forced and attempt.number == 1:
            attempt.context.results.begin_anew(attempt.step.key)
        return False
    yield attempt.seen(WorkloadFound(attempt=attempt.number, workload=workload.watched[2]))
    return True


def taken(attempt: ClusterAttempt[W]) -> Result:
    """The result that the pods have left in the registry."""
    context, step = attempt.context, attempt.step
    if result_tag(step) != step.key:
        context.results.seal(result_tag(step), step.key)
    result = context.results.result(step.key, attempt.work.result)
    if result is None:
        raise TargetError("the workload ended well, and its result is not in the registry", where=step.name)
    keep_here(step, context)
    return result
