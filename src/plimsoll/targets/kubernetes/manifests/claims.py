"""Accelerators claimed from a device class (DRA). Source: resource.k8s.io/v1, KEP-4381."""

from __future__ import annotations

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import DRA, Cluster
from plimsoll.planning.steps import AnyStep
from plimsoll.targets.kubernetes.manifests.pod import CLAIM


def claim_template(cluster: Cluster, step: AnyStep, labels: dict[str, str]) -> Manifest | None:
    """The template that each pod's claim is made from; `None` where devices are counted or none are asked for."""
    if not step.resources.accelerators or cluster.accelerator or not cluster.classes:
        return None
    exactly = {"deviceClassName": cluster.classes[0], "count": step.resources.accelerators}
    request = {"name": "accelerator", "exactly": exactly}
    return {
        "apiVersion": DRA,
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": CLAIM, "labels": {key: value for key, value in labels.items() if "/step" not in key}},
        "spec": {"spec": {"devices": {"requests": [request]}}},
    }
