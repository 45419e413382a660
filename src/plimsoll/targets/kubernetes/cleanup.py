"""What an application has on a cluster as a whole: which kinds of objects, which services, and their removal."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from plimsoll.errors import TargetError
from plimsoll.kubernetes.api import Api, ApiError, Manifest
from plimsoll.kubernetes.cluster import (
    DRA,
    ENVOY,
    GATEWAY,
    JOBSET,
    KEDA,
    KSERVE,
    KUEUE,
    MONITORING,
    POD_GROUP,
    RAY,
    TRAINER,
)
from plimsoll.kubernetes.objects import has_condition
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.listing import listed
from plimsoll.targets.kubernetes.names import LEASES
from plimsoll.targets.kubernetes.namespace import OURS, REMOVAL_LIMIT, await_end

KINDS = (
    (ENVOY, "BackendTrafficPolicy"),
    (GATEWAY, "HTTPRoute"),
    (GATEWAY, "Gateway"),
    (MONITORING, "ServiceMonitor"),
    (MONITORING, "PrometheusRule"),
    (KEDA, "ScaledObject"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    (KSERVE, "InferenceService"),
    ("apps/v1", "Deployment"),
    (TRAINER, "TrainJob"),
    (TRAINER, "TrainingRuntime"),
    (RAY, "RayJob"),
    (JOBSET, "JobSet"),
    ("batch/v1", "Job"),
    (POD_GROUP, "PodGroup"),
    (KUEUE, "LocalQueue"),
    (DRA, "ResourceClaimTemplate"),
    ("policy/v1", "PodDisruptionBudget"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    (LEASES, "Lease"),
    ("v1", "ServiceAccount"),
)
"""Every kind that an application may have made, what uses others before what is used."""
OTHERS = (
    *KINDS,
    ("v1", "Pod"),
    ("v1", "Secret"),
    ("v1", "PersistentVolumeClaim"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "ReplicaSet"),
    ("batch/v1", "CronJob"),
    ("networking.k8s.io/v1", "Ingress"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
)
"""Kinds by which a namespace is known to be used by somebody else."""
_FURNISHED = frozenset({("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")})
"""What every namespace has."""


def services(api: Api, application: str, namespace: str) -> Mapping[str, str]:
    """Addresses of the services that are up, by name: at the gateway where there is one, else inside the cluster."""
    selector = names.selector(names.of_application(application))
    ways = {}
    for _, _, each in listed(api, [(GATEWAY, "Gateway")], namespace, selector):
        addresses = each.get("status", {}).get("addresses", [])
        if addresses and has_condition(each, "Programmed"):
            ways["gateway"] = f"http://{addresses[0]['value']}"
    found = {}
    for _, _, each in listed(api, [("apps/v1", "Deployment")], namespace, selector):
        service = each["metadata"]["labels"].get(names.SERVICE)
        if service and each.get("status", {}).get("availableReplicas", 0):
            inside = f"http://{names.service(application, service)}.{namespace}.svc"
            found[service] = f"{ways['gateway']}/{service}" if "gateway" in ways else inside
    return found


def obsolete_objects(
    api: Api, application: str, namespace: str, service: str, kept: Iterable[Manifest]
) -> list[Manifest]:
    """Objects of a service that its present manifests do not have, such as the servers of a former version."""
    wanted = {(each["kind"], each["metadata"]["name"]) for each in kept}
    selector = names.selector({**names.of_application(application), names.SERVICE: service})
    return [
        {**each, "apiVersion": api_version, "kind": kind}
        for api_version, kind, each in listed(api, KINDS, namespace, selector)
        # What a controller has made for one of ours goes with it.
        if (kind, each["metadata"]["name"]) not in wanted and not each["metadata"].get("ownerReferences")
    ]


def remove(api: Api, application: str, namespace: str) -> list[str]:
    """Delete all that carries the application's label, and nothing else; gives what was found, as kind/name.

    A namespace that was made for the application goes too, unless somebody else has something in it. Raises
    TargetError that names what does not go.
    """
    selector = names.selector(names.of_application(application))
    removed: list[str] = []
    for api_version, kind, each in listed(api, KINDS, namespace, selector):
        api.delete(api_version, kind, each["metadata"]["name"], namespace)
        removed.append(f"{kind}/{each['metadata']['name']}")
    ours = _is_ours(api, application, namespace) and not _is_shared(api, application, namespace)
    if ours:
        api.delete("v1", "Namespace", namespace)
        removed.append(f"Namespace/{namespace}")
    deadline = time.monotonic() + REMOVAL_LIMIT
    while left := [
        f"{kind}/{each['metadata']['name']}"
        for _, kind, each in listed(api, (*KINDS, ("v1", "Pod")), namespace, selector)
    ]:
        if time.monotonic() > deadline:
            hint = "what it waits for stands in its finalizers; run `plimsoll down` again"
            raise TargetError(
                f"{', '.join(left[:3])} did not end within {REMOVAL_LIMIT:g} s", where=namespace, hint=hint
            )
        time.sleep(0.5)
    if ours:
        await_end(api, namespace)
    return removed


def _is_shared(api: Api, application: str, namespace: str) -> bool:
    """Whether something lies in a namespace that is not the application's. What may not be read is not looked at."""
    selector = f"{names.APPLICATION}!={application}"
    for api_version, kind in OTHERS:
        try:
            found = api.list(api_version, kind, namespace, selector) if api.serves(api_version, kind) else []
        except ApiError as error:
            if error.status != 403:
                raise
            continue
        for each in found:
            metadata = each["metadata"]
            # What a controller has made for something is counted with that.
            if not metadata.get("ownerReferences") and (kind, metadata["name"]) not in _FURNISHED:
                return True
    return False


def _is_ours(api: Api, application: str, namespace: str) -> bool:
    try:
        labels = api.get("v1", "Namespace", namespace)["metadata"].get("labels", {})
    except ApiError:
        return False
    return bool(labels.get(OURS) == "namespace" and labels.get(names.APPLICATION) == application)
