"""Pods that are somebody to their cloud: their account, and nothing else of it in the pod.

The platform's own webhook or metadata server brings what proves it. A token of the cluster is not mounted.
Sources: "IAM roles for service accounts" (EKS), "Authenticate to Google Cloud APIs from GKE workloads", "Microsoft
Entra Workload ID with AKS".
"""

from __future__ import annotations

from plimsoll.kinds.dataset import Fetch, RunCommand
from plimsoll.kinds.train import TrainGang
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import Cluster, PodAccount
from plimsoll.planning.steps import AnyStep, Plan
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.runtimes import strict

STORES = ("s3://", "gs://", "abfs://")
"""Addresses that are reached by an identity."""


def account_of_step(step: AnyStep, cluster: Cluster) -> PodAccount | None:
    """The account under which pods of a step run; None for that of the namespace.

    A strict step has none: it is to reach nothing.
    """
    account = cluster.identity
    if account is None or strict(step.isolation) is not None:
        return None
    work = step.work
    fetches = isinstance(work, Fetch) and work.source.startswith(STORES)
    return account if fetches or (account.steps and isinstance(work, RunCommand | TrainGang)) else None


def with_identity(pod: Manifest, step: AnyStep, cluster: Cluster) -> Manifest:
    """The pod under its account."""
    account = account_of_step(step, cluster)
    if account is None:
        return pod
    metadata = {**pod["metadata"], "labels": {**pod["metadata"]["labels"], **account.pod_labels}}
    spec = {**pod["spec"], "serviceAccountName": account.name}
    return {**pod, "metadata": metadata, "spec": spec}


def identity_objects(step: AnyStep, cluster: Cluster, application: str) -> list[Manifest]:
    """The account that pods of a step run under, where it is not there already."""
    account = account_of_step(step, cluster)
    return [_manifest(account, cluster, application)] if account is not None and account.made else []


def identity_of_plan(plan: Plan, cluster: Cluster) -> list[Manifest]:
    """The account that any step of a plan runs under, once."""
    found = [each for step in plan.steps for each in identity_objects(step, cluster, plan.application)]
    return found[:1]


def _manifest(account: PodAccount, cluster: Cluster, application: str) -> Manifest:
    """It pulls images as others of the namespace do."""
    secrets = [{"name": each} for each in cluster.pull_secrets]
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": account.name,
            "labels": names.of_application(application),
            "annotations": dict(account.annotations),
        },
        "automountServiceAccountToken": False,
        **({"imagePullSecrets": secrets} if secrets else {}),
    }
