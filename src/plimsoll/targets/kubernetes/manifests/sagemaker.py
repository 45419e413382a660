"""A training as a TrainingJob of Amazon SageMaker, by its ACK controller. Pure.

By contract: the objects are held against the schemas of the controller's definitions, and no SageMaker has seen them.
Source: sagemaker.services.k8s.aws/v1alpha1 and CreateTrainingJob of the SageMaker API.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from plimsoll.application.sagemaker import SageMaker
from plimsoll.kinds.train import TrainGang
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import SAGEMAKER, Cluster, SageMakerPlace
from plimsoll.planning.capacity import Shortfall
from plimsoll.planning.steps import AnyStep, Plan
from plimsoll.runtime.pod_task import PodTask
from plimsoll.runtime.sagemaker import pieces
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.runtimes import strict

PROVIDER = "sagemaker"
KIND = "TrainingJob"
DAY = 24 * 3600
"""Seconds that a training without a `timeout` may run: SageMaker wants to know."""
_FOR_SPOT = DAY
"""Seconds more that a training on spot machines may wait for them."""
_LONGEST = 63


def sagemaker_place(asked: SageMaker | None) -> SageMakerPlace | None:
    """What the file says, as the objects have it."""
    if asked is None:
        return None
    return SageMakerPlace(
        role=asked.role,
        output=asked.output,
        instance=asked.instance,
        volume=asked.volume,
        serve=asked.serve or "",
        subnets=asked.subnets,
        security_groups=asked.security_groups,
    )


def runs_on_sagemaker(step: AnyStep, chosen: Mapping[str, str]) -> bool:
    """Whether SageMaker carries a step out."""
    return isinstance(step.work, TrainGang) and chosen.get("training") == PROVIDER


def training_job(
    name: str, mark: str, step: AnyStep, task: PodTask, image: str, place: SageMakerPlace, labels: dict[str, str]
) -> Manifest:
    """The TrainingJob of one attempt. What SageMaker calls it is never used twice: `mark` tells attempts apart."""
    limit = limit_of(step)
    spot = step.resources.spot == "only"
    stopping = {"maxRuntimeInSeconds": limit, **({"maxWaitTimeInSeconds": limit + _FOR_SPOT} if spot else {})}
    network = {"subnets": list(place.subnets), "securityGroupIDs": list(place.security_groups)}
    tags = [{"key": key, "value": value} for key, value in sorted(labels.items())]
    return {
        "apiVersion": SAGEMAKER,
        "kind": KIND,
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "trainingJobName": job_name(name, mark),
            "roleARN": place.role,
            "algorithmSpecification": {"trainingImage": image, "trainingInputMode": "File"},
            "hyperParameters": dict(pieces(task.encoded())),
            "outputDataConfig": {"s3OutputPath": place.output},
            "resourceConfig": {
                "instanceType": place.instance,
                "instanceCount": step.workers,
                "volumeSizeInGB": place.volume,
            },
            "stoppingCondition": stopping,
            "enableManagedSpotTraining": spot,
            **({"vpcConfig": network} if place.subnets else {}),
            "tags": tags,
        },
    }


def limit_of(step: AnyStep) -> int:
    """Seconds for which the job may run."""
    return int(getattr(step.work, "timeout", None) or DAY)


def job_name(name: str, mark: str) -> str:
    """What SageMaker calls the job, in the account and for ever: its object's name and a digest of the mark."""
    digest = hashlib.sha256(mark.encode()).hexdigest()[:8]
    return f"{names.short(name, _LONGEST - 9)}-{digest}"


def sagemaker_problems(plan: Plan, cluster: Cluster, chosen: Mapping[str, str]) -> Iterator[Shortfall]:
    """What of a training SageMaker does not do as a pod would."""
    for step in plan.steps:
        if not runs_on_sagemaker(step, chosen) or not isinstance(step.work, TrainGang):
            continue
        if step.work.base is not None:
            yield _refused(step, (), "is of an adapter, whose model pods bring and SageMaker does not")
        if step.work.framework == "mpi":
            yield _refused(step, ("framework",), "is MPI's, whose workers start each other")
        if strict(step.isolation) is not None:
            yield _refused(step, ("isolation",), "is to be kept apart strictly, and its machine is AWS' own")
        if cluster.registry is not None and cluster.registry.us is None:
            yield _refused(step, (), "reads and leaves results in a registry that is inside the cluster")


def _refused(step: AnyStep, setting: tuple[str, ...], why: str) -> Shortfall:
    remedy = "remove `sagemaker` from the target, or have this model trained on another one"
    if setting == ():
        remedy += "; `route` names a registry that AWS reaches"
    message = f"{step.name} {why}"
    return Shortfall(step=step.name, setting=setting, at_key=True, message=message, remedy=remedy)
