"""A gang of workers by each provider: what is applied, which object tells how it goes, and the names of the workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from plimsoll.kinds.train import TrainGang
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import JOBSET, KUEUE, POD_GROUP, RAY, TRAINER, Cluster
from plimsoll.planning.steps import AnyStep
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.ray_job import ray_job

_LINGER = 24 * 3600
"""Seconds for which a finished workload stays to be looked at."""


class Workload(Struct, frozen=True, kw_only=True):
    """Objects of a step. `watched` is (apiVersion, kind, name) of the one whose conditions say how it ends.

    `restarts` says that the cluster itself starts the gang anew, `retries` times.
    """

    objects: tuple[Manifest, ...]
    watched: tuple[str, str, str]
    restarts: bool


def host_names(provider: str, name: str, workers: int) -> tuple[str, ...]:
    """DNS names of the workers by rank, in their own namespace. Sources: JobSet's and Indexed Job's documentation."""
    if workers == 1 or provider == "rayjob":
        return ("localhost",)
    if provider in ("kueue", "jobset"):
        return tuple(f"{name}-workers-0-{rank}.{name}" for rank in range(workers))
    if provider == "sagemaker":
        return tuple(f"algo-{rank + 1}" for rank in range(workers))
    if provider == "trainjob":
        return tuple(f"{name}-node-0-{rank}.{name}" for rank in range(workers))
    return tuple(f"{name}-{rank}.{name}" for rank in range(workers))


def _job_spec(step: AnyStep, pod: Manifest) -> Manifest:
    timeout = getattr(step.work, "timeout", None)
    return {
        "completionMode": "Indexed",
        "completions": step.workers,
        "parallelism": step.workers,
        # A gang whose worker has died is started anew as a whole, never a worker alone.
        "backoffLimit": 0,
        "template": pod,
        **({"activeDeadlineSeconds": int(timeout)} if timeout else {}),
    }


def job_set(name: str, step: AnyStep, pod: Manifest, labels: dict[str, str], **spec: Any) -> Manifest:
    """A JobSet of one Indexed Job, restarted as a whole. Source: JobSet API v1alpha2."""
    return {
        "apiVersion": JOBSET,
        "kind": "JobSet",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
            "failurePolicy": {"maxRestarts": step.retries},
            "ttlSecondsAfterFinished": _LINGER,
            "replicatedJobs": [{"name": "workers", "replicas": 1, "template": {"spec": _job_spec(step, pod)}}],
            **spec,
        },
    }


def _jobset(name: str, step: AnyStep, pod: Manifest, labels: dict[str, str], cluster: Cluster) -> Workload:
    manifest = job_set(name, step, pod, labels)
    return Workload(objects=(manifest,), watched=(JOBSET, "JobSet", name), restarts=True)


def _kueue(name: str, step: AnyStep, pod: Manifest, labels: dict[str, str], cluster: Cluster) -> Workload:
    before, queued = _queued(labels, cluster)
    manifest = job_set(name, step, pod, queued, suspend=True)
    return Workload(objects=(*before, manifest), watched=(JOBSET, "JobSet", name), restarts=True)


def _queued(labels: dict[str, str], cluster: Cluster) -> tuple[tuple[Manifest, ...], dict[str, str]]:
    """The queue, where one has to be made, and the labels of a workload that waits in it: as given without a queue."""
    if cluster.queues:
        return (), {**labels, _IN_QUEUE: cluster.queues[0]}
    if cluster.admitting:
        queue = local_queue(cluster.admitting[0], labels)
        return (queue,), {**labels, _IN_QUEUE: queue["metadata"]["name"]}
    return (), labels


_IN_QUEUE = "kueue.x-k8s.io/queue-name"


SHARED = frozenset({"LocalQueue", "ResourceClaimTemplate", "ServiceAccount"})
"""Kinds of objects that other steps of the application use too: they do not go with one step."""


def local_queue(cluster_queue: str, labels: dict[str, str]) -> Manifest:
    """The application's way into a cluster queue, made where the namespace has none."""
    owned = {key: value for key, value in labels.items() if not key.endswith(("/step", "/key"))}
    name = names.short(f"plimsoll-{labels[names.APPLICATION]}", 63)
    return {
        "apiVersion": KUEUE,
        "kind": "LocalQueue",
        "metadata": {"name": name, "labels": owned},
        "spec": {"clusterQueue": cluster_queue},
    }


def headless(name: str, labels: dict[str, str]) -> Manifest:
    """The service that gives a Job's pods their names; also before they are ready, for they wait for each other."""
    selector = {key: value for key, value in labels.items() if key.endswith("/key")}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": selector},
    }


def job(name: str, step: AnyStep, pod: Manifest, labels: dict[str, str], cluster: Cluster) -> Workload:
    """An Indexed Job (KEP-2214), with names for its workers when there are several."""
    spec = {**pod["spec"], **({"subdomain": name} if step.workers > 1 else {})}
    manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {**_job_spec(step, {**pod, "spec": spec}), "ttlSecondsAfterFinished": _LINGER},
    }
    objects = (headless(name, labels), manifest) if step.workers > 1 else (manifest,)
    return Workload(objects=objects, watched=("batch/v1", "Job", name), restarts=False)


def _pod_group(name: str, step: AnyStep, pod: Manifest, labels: dict[str, str], cluster: Cluster) -> Workload:
    """An Indexed Job whose pods are bound together by the scheduler itself. Source: KEP-4671."""
    group = {
        "apiVersion": POD_GROUP,
        "kind": "PodGroup",
        "metadata": {"name": name, "labels": labels},
        "spec": {"schedulingPolicy": {"gang": {"minCount": step.workers}}},
    }
    grouped = {**pod, "spec": {**pod["spec"], "schedulingGroup": {"podGroupName": name}}}
    plain = job(name, step, grouped, labels, cluster)
    return Workload(objects=(group, *plain.objects), watched=plain.watched, restarts=False)


def _train_job(name: str, step: AnyStep, pod: Manifest, labels: dict[str, str], cluster: Cluster) -> Workload:
    """A TrainingRuntime of our own and a TrainJob that follows it. Source: Kubeflow Trainer API v1alpha1."""
    node = {
        "name": "node",
        "template": {
            "metadata": {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}},
            "spec": {"template": _trainer_pod(pod), "backoffLimit": 0},
        },
    }
    template = {
        "spec": {
            "network": {"publishNotReadyAddresses": True},
            "failurePolicy": {"maxRestarts": step.retries},
            "replicatedJobs": [node],
        }
    }
    runtime = {
        "apiVersion": TRAINER,
        "kind": "TrainingRuntime",
        "metadata": {"name": name, "labels": labels},
        "spec": {"mlPolicy": {"numNodes": step.workers}, "template": template},
    }
    reference = {"apiGroup": "trainer.kubeflow.org", "kind": "TrainingRuntime", "name": name}
    train_job = {
        "apiVersion": TRAINER,
        "kind": "TrainJob",
        "metadata": {"name": name, "labels": labels},
        "spec": {"runtimeRef": reference, "trainer": {"numNodes": step.workers}},
    }
    return Workload(objects=(runtime, train_job), watched=(TRAINER, "TrainJob", name), restarts=True)


def _ray_job(name: str, step: AnyStep, pod: Manifest, labels: dict[str, str], cluster: Cluster) -> Workload:
    """Admitted whole where Kueue manages RayJobs, as it does unless told otherwise; it suspends those in a queue."""
    before, queued = _queued(labels, cluster)
    manifest = ray_job(name, step, pod, queued)
    return Workload(objects=(*before, manifest), watched=(RAY, "RayJob", name), restarts=True)


def _trainer_pod(pod: Manifest) -> Manifest:
    """The trainer finds the container that trains by its name."""
    containers = [{**each, "name": "node"} for each in pod["spec"]["containers"]]
    return {**pod, "spec": {**pod["spec"], "containers": containers}}


Maker = Callable[[str, AnyStep, Manifest, dict[str, str], Cluster], Workload]
MAKERS: Mapping[str, Maker] = MappingProxyType(
    {
        "kueue": _kueue,
        "podgroup": _pod_group,
        "trainjob": _train_job,
        "jobset": _jobset,
        "job": job,
        "rayjob": _ray_job,
    }
)


def provider_of(step: AnyStep, chosen: Mapping[str, str]) -> str:
    """What carries a step: what was chosen for gangs, unless the framework has its own way."""
    if isinstance(step.work, TrainGang) and step.work.framework == "ray" and chosen.get("ray") == "rayjob":
        return "rayjob"
    return chosen["gang"]


def followed(provider: str, name: str, step: AnyStep, cluster: Cluster) -> Workload:
    """A workload that another run has made, for whoever only watches it: none of its objects, and what tells of it."""
    made = workload(provider, name, step, _NO_POD, {}, cluster)
    return Workload(objects=(), watched=made.watched, restarts=made.restarts)


_NO_POD: Manifest = {"metadata": {}, "spec": {"containers": [{"env": []}], "volumes": []}}


def workload(
    provider: str, name: str, step: AnyStep, pod: Manifest, labels: dict[str, str], cluster: Cluster
) -> Workload:
    """The objects of a step by a provider. A single worker needs no gang: a Job does, whatever the provider."""
    maker = MAKERS[provider] if step.workers > 1 or provider == "rayjob" else job
    return maker(name, step, pod, labels, cluster)
