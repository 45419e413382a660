"""Accelerators claimed from a device class (DRA). Source: resource.k8s.io/v1, KEP-4381."""

from __future__ import annotations

import hashlib

from plimsoll.kubernetes.accelerators import GPU, resource_name
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import DRA, Cluster
from plimsoll.planning.steps import WorkerResources
from plimsoll.targets.kubernetes import names


def claims(worker: WorkerResources, cluster: Cluster) -> bool:
    """Whether a worker's accelerators are claimed; elsewhere devices are counted, or none are asked for."""
    if worker.accelerator and resource_name(worker.accelerator, cluster) != GPU:
        return False
    return bool(worker.accelerators and not cluster.accelerator and cluster.classes)


def claim_name(application: str, worker: WorkerResources, cluster: Cluster) -> str:
    """The name of a template: what it asks for cannot be changed, so that who asks for something else has another."""
    asked = f"{application} {cluster.classes[0]} {worker.accelerators}"
    return f"plimsoll-accelerators-{hashlib.sha256(asked.encode()).hexdigest()[:8]}"


def claim_template(application: str, worker: WorkerResources, cluster: Cluster) -> list[Manifest]:
    """The template that each pod's claim is made from; nothing where no pod claims any."""
    if not claims(worker, cluster):
        return []
    exactly = {
        "deviceClassName": cluster.classes[0],
        "allocationMode": "ExactCount",
        "count": worker.accelerators,
    }
    request = {"name": "accelerator", "exactly": exactly}
    template = {
        "apiVersion": DRA,
        "kind": "ResourceClaimTemplate",
        "metadata": {
            "name": claim_name(application, worker, cluster),
            "labels": names.of_application(application),
        },
        "spec": {"spec": {"devices": {"requests": [request]}}},
    }
    return [template]
