"""The objects that a plan would make, before there are images, models and results: their kinds and names are final.

Made by the same functions as the real ones, so that no list of kinds beside them can be wrong. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from msgspec import Struct
from msgspec.structs import replace

from plimsoll.kinds.batch import Score
from plimsoll.kinds.dataset import Fetch, RunCommand
from plimsoll.kinds.failover import Standby
from plimsoll.kinds.index import BuildIndex
from plimsoll.kinds.serve import ModelShare, Serve
from plimsoll.kinds.train import TrainGang
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import Cluster
from plimsoll.planning.steps import AnyStep, InputFile, Plan, Step
from plimsoll.runtime.pod_task import PodInput, PodTask
from plimsoll.runtime.server.service_file import ModelFile
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests import gang, mpi
from plimsoll.targets.kubernetes.manifests.callers import in_pods as callers_in_pods
from plimsoll.targets.kubernetes.manifests.claims import claim_template
from plimsoll.targets.kubernetes.manifests.groups import ServedVersions, Watched
from plimsoll.targets.kubernetes.manifests.groups import Standby as StandbyPlace
from plimsoll.targets.kubernetes.manifests.identity import identity_objects, with_identity
from plimsoll.targets.kubernetes.manifests.isolation import isolated_pod, isolated_workload
from plimsoll.targets.kubernetes.manifests.models import BASE, MODEL, with_models
from plimsoll.targets.kubernetes.manifests.pod import mounted_at, task_pod
from plimsoll.targets.kubernetes.manifests.policies import alone
from plimsoll.targets.kubernetes.manifests.sagemaker import runs_on_sagemaker, training_job
from plimsoll.targets.kubernetes.manifests.serving import objects
from plimsoll.targets.kubernetes.own_code import in_pods, pipeline_models
from plimsoll.targets.predictors import own_code, served_alone
from plimsoll.targets.services import service_file, shares_of

PLACEHOLDER = "plimsoll.invalid/preview@sha256:" + 64 * "0"
"""Where a reference will stand that is not known yet."""
STANDBY_ADDRESS = "http://plimsoll.invalid/standby"
"""Where a standby will be that is not up yet."""
_LATER = "999999999"
"""A version's number as long as any that a promotion will ever bring."""


class Previewed(Struct, frozen=True, kw_only=True):
    """What one step makes. `watched` are (apiVersion, kind) of the objects that say how its pods go."""

    step: AnyStep
    objects: tuple[Manifest, ...]
    watched: tuple[tuple[str, str], ...] = ()


def preview(plan: Plan, cluster: Cluster, chosen: Mapping[str, str]) -> list[Previewed]:
    """What each step of a plan makes on a cluster; steps that make nothing there are left out."""
    found = []
    for step in plan.steps:
        if isinstance(step.work, Serve):
            found.append(_service(plan.application, cast("Step[Serve]", step), cluster, chosen))
        elif _runs_in_pods(step):
            found.append(_workload(plan.application, step, cluster, chosen))
    return found


def during_promotion(previewed: Previewed, application: str, cluster: Cluster, chosen: Mapping[str, str]) -> Previewed:
    """What a service's step makes while a promotion goes on: a second version has servers of its own."""
    step = cast("Step[Serve]", previewed.step)
    served = _served(application, step, cluster.namespace)
    file = served.file
    first, name = file.models[0], file.models[0].name
    place = f"{MODEL}s/{_LATER}"
    later = replace(first, version=_LATER, path=place if first.code is not None else f"{place}/model.onnx")
    share = replace(file.traffic[name][0], weight=0, version=_LATER, headers={}, shadow=0)
    shares = (*(replace(each, weight=1) for each in file.traffic[name]), share)
    models = {**served.models, f"{MODEL}s/{_LATER}": PLACEHOLDER}
    two = replace(file, models=(*file.models, later), traffic={name: shares})
    made = objects(replace(served, file=two, models=models), cluster, chosen)
    return replace(previewed, objects=tuple(made))


def _runs_in_pods(step: AnyStep) -> bool:
    work = step.work
    computed = isinstance(work, RunCommand | TrainGang | Score | BuildIndex)
    return computed or (isinstance(work, Fetch) and "://" in work.source)


def _inputs(step: AnyStep) -> Iterator[InputFile]:
    work = step.work
    if isinstance(work, RunCommand | TrainGang):
        yield from work.inputs
    elif isinstance(work, Score):
        yield work.input
    elif isinstance(work, BuildIndex):
        yield work.documents


def _workload(application: str, step: AnyStep, cluster: Cluster, chosen: Mapping[str, str]) -> Previewed:
    name, labels = names.workload(application, step), names.of_step(application, step)
    if runs_on_sagemaker(step, chosen) and cluster.sagemaker is not None:
        task = PodTask(action="train", step=step.name, key=step.key, result=PLACEHOLDER)
        job = training_job(name, "", step, task, PLACEHOLDER, cluster.sagemaker, labels)
        return Previewed(step=step, objects=(job,))
    provider = gang.provider_of(step, chosen)
    at = mounted_at if cluster.mounts_images else lambda _: None
    inputs = tuple(PodInput(name=each.name, reference=PLACEHOLDER, mounted=at(each.name)) for each in _inputs(step))
    task = PodTask(action="run", step=step.name, key=step.key, inputs=inputs, result=PLACEHOLDER)
    pod = task_pod(task, step, PLACEHOLDER, cluster, labels)
    if isinstance(step.work, Score) or (isinstance(step.work, BuildIndex) and step.work.model is not None):
        pod = with_models(pod, {MODEL: PLACEHOLDER}, PLACEHOLDER, application)
    if isinstance(step.work, TrainGang) and step.work.base is not None:
        pod = with_models(pod, {BASE: PLACEHOLDER}, PLACEHOLDER, application)
    pod = with_identity(pod, step, cluster)
    pod = isolated_pod(pod, step, cluster)
    made = gang.workload(provider, name, step, pod, labels, cluster)
    if mpi.is_mpi_gang(step):
        made = mpi.beside(made, name, labels)
    if isinstance(step.work, BuildIndex):
        made = alone(made, name, labels, cluster)
    made = isolated_workload(made, name, labels, step, cluster)
    before = [*claim_template(application, step.resources, cluster), *identity_objects(step, cluster, application)]
    return Previewed(step=step, objects=(*before, *made.objects), watched=(made.watched[:2],))


def _service(application: str, step: Step[Serve], cluster: Cluster, chosen: Mapping[str, str]) -> Previewed:
    made = tuple(objects(_served(application, step, cluster.namespace), cluster, chosen))
    if step.work.reference is None:
        return Previewed(step=step, objects=made)
    # What drift is judged against is made by a workload of its own.
    reference = replace(step, retries=0)
    labels = names.of_step(application, reference)
    task = PodTask(action="reference", step=step.name, key=step.key, result=PLACEHOLDER)
    pod = task_pod(task, reference, PLACEHOLDER, cluster, labels)
    job = gang.workload(chosen["gang"], names.workload(application, reference), reference, pod, labels, cluster)
    return Previewed(step=step, objects=(*job.objects, *made), watched=(job.watched[:2],))


def _served(application: str, step: Step[Serve], namespace: str) -> ServedVersions:
    """What the service will serve; versions that nobody has registered yet have a number all the same."""
    work = step.work
    found: list[tuple[ModelShare, ModelFile]] = []
    models: dict[str, str] = {}
    watched: dict[str, Watched] = {}
    code = own_code(work.own, in_pods(work), work.sample) if work.own is not None else None
    for number, share in enumerate(shares_of(work), 1):
        if not share.model:
            found.append((share, served_alone(step.work, (), in_pods(work))))
            models |= {place: PLACEHOLDER for _, place in pipeline_models(work)}
            continue
        name, _, version = share.model.partition("@")
        place = f"{MODEL}s/{version or number}"
        models[place] = PLACEHOLDER
        path = place if code is not None else f"{place}/model.onnx"
        file = ModelFile(name=name, version=version or str(number), path=path, code=code)
        found.append((share, file))
        if work.reference is not None:
            watched[file.version] = Watched(reference=PLACEHOLDER)
    return ServedVersions(
        application=application,
        service=work.service,
        file=service_file(work, found),
        models=models,
        key=step.key,
        resources=step.resources,
        isolation=step.isolation,
        image=PLACEHOLDER,
        scale=work.in_pods,
        latency=work.latency,
        telemetry=work.telemetry,
        watched=watched,
        auth=callers_in_pods(work.auth, names.service(application, work.service), namespace) if work.auth else None,
        standby=StandbyPlace(address=STANDBY_ADDRESS, to="", after=1.0, back=1.0) if work.fails_over else None,
        stands_for=work.stands_for if isinstance(work, Standby) else "",
    )
