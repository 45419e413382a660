"""What an application has on a cluster as a whole: its namespace and trust, what it serves, and its removal."""

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
from plimsoll.signing.keys import KeyRing
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.context import Context
from plimsoll.targets.kubernetes.manifests.models import trust

GONE_LIMIT = 90.0
"""Seconds for everything of an application to end: servers drain first."""
OURS = "plimsoll.dev/made"
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
    ("v1", "ServiceAccount"),
)
"""Every kind that an application may have made, what uses others before what is used."""


def furnish(context: Context) -> None:
    """The namespace, unless it is there, and the keys by which pods verify models.

    Raises TargetError when the namespace of before does not end.
    """
    _await_end(context.api, context.namespace, leaving_only=True)
    if context.api.find("v1", "Namespace", context.namespace) is None:
        context.api.apply(own_namespace(context.application, context.namespace))
    context.api.apply(own_trust(context.application, context.namespace))


def own_namespace(application: str, namespace: str) -> Manifest:
    """The namespace, in which nothing runs that the restricted Pod Security level does not allow."""
    level = {"pod-security.kubernetes.io/enforce": "restricted"}
    labels = {**names.of_application(application), OURS: "namespace", **level}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}


def own_trust(application: str, namespace: str) -> Manifest:
    """The keys whose signatures count here: ours, and those that we have been given."""
    ring = KeyRing.default()
    ring.signer()
    keys = {path.name: path.read_text(encoding="utf-8") for path in sorted(ring.trusted.glob("*.json"))}
    return trust(application, namespace, names.of_application(application), keys)


def _await_end(api: Api, namespace: str, *, leaving_only: bool = False) -> None:
    """Wait for the end of a namespace; with `leaving_only` of one that is ending already."""
    deadline = time.monotonic() + GONE_LIMIT
    while (found := api.find("v1", "Namespace", namespace)) is not None:
        if leaving_only and not found["metadata"].get("deletionTimestamp"):
            return
        if time.monotonic() > deadline:
            hint = "what it waits for stands in its conditions: kubectl describe namespace"
            raise TargetError(f"the namespace did not end within {GONE_LIMIT:g} s", where=namespace, hint=hint)
        time.sleep(0.3)


def services(api: Api, application: str, namespace: str) -> Mapping[str, str]:
    """Addresses of the services that are up, by name: at the gateway where there is one, else inside the cluster."""
    selector = names.selector(names.of_application(application))
    ways = {}
    if api.serves(GATEWAY, "Gateway"):
        for each in api.list(GATEWAY, "Gateway", namespace, selector):
            addresses = each.get("status", {}).get("addresses", [])
            if addresses and has_condition(each, "Programmed"):
                ways["gateway"] = f"http://{addresses[0]['value']}"
    found = {}
    for each in api.list("apps/v1", "Deployment", namespace, selector):
        service = each["metadata"]["labels"].get(names.SERVICE)
        if service and each.get("status", {}).get("availableReplicas", 0):
            inside = f"http://{names.service(application, service)}.{namespace}.svc"
            found[service] = f"{ways['gateway']}/{service}" if "gateway" in ways else inside
    return found


def leaving(api: Api, application: str, namespace: str, service: str, kept: Iterable[Manifest]) -> list[Manifest]:
    """What a service had before and no longer has, such as a version's servers."""
    wanted = {(each["kind"], each["metadata"]["name"]) for each in kept}
    selector = names.selector({**names.of_application(application), names.SERVICE: service})
    return [
        {**each, "apiVersion": api_version, "kind": kind}
        for api_version, kind in KINDS
        if api.serves(api_version, kind)
        for each in api.list(api_version, kind, namespace, selector)
        # What a controller has made for one of ours goes with it.
        if (kind, each["metadata"]["name"]) not in wanted and not each["metadata"].get("ownerReferences")
    ]


def remove(api: Api, application: str, namespace: str) -> list[str]:
    """Delete all that carries the application's label, and nothing else; gives what was found, as kind/name.

    Raises TargetError that names what does not go.
    """
    selector = names.selector(names.of_application(application))
    removed: list[str] = []
    kinds = [(api_version, kind) for api_version, kind in KINDS if api.serves(api_version, kind)]
    for api_version, kind in kinds:
        for each in api.list(api_version, kind, namespace, selector):
            api.delete(api_version, kind, each["metadata"]["name"], namespace)
            removed.append(f"{kind}/{each['metadata']['name']}")
    ours = _is_ours(api, application, namespace)
    if ours:
        api.delete("v1", "Namespace", namespace)
        removed.append(f"Namespace/{namespace}")
    deadline = time.monotonic() + GONE_LIMIT
    while left := [
        f"{kind}/{each['metadata']['name']}"
        for api_version, kind in (*kinds, ("v1", "Pod"))
        for each in api.list(api_version, kind, namespace, selector)
    ]:
        if time.monotonic() > deadline:
            hint = "what it waits for stands in its finalizers; run `plimsoll down` again"
            raise TargetError(f"{', '.join(left[:3])} did not end within {GONE_LIMIT:g} s", where=namespace, hint=hint)
        time.sleep(0.5)
    if ours:
        _await_end(api, namespace)
    return removed


def _is_ours(api: Api, application: str, namespace: str) -> bool:
    try:
        labels = api.get("v1", "Namespace", namespace)["metadata"].get("labels", {})
    except ApiError:
        return False
    return bool(labels.get(OURS) == "namespace" and labels.get(names.APPLICATION) == application)
