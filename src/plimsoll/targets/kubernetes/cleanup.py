"""What an application has on a cluster as a whole: which kinds of objects, which services, and their removal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from plimsoll.kubernetes.api import Api, ApiError, Manifest
from plimsoll.kubernetes.cluster import (
    DRA,
    ENVOY,
    GATEWAY,
    INFERENCE,
    JOBSET,
    KEDA,
    KSERVE,
    KSERVE_LLM,
    KUEUE,
    MONITORING,
    POD_GROUP,
    RAY,
    RBAC,
    SAGEMAKER,
    TRAINER,
)
from plimsoll.kubernetes.content import content
from plimsoll.kubernetes.objects import has_condition
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.ends import await_gone
from plimsoll.targets.kubernetes.listing import listed
from plimsoll.targets.kubernetes.made_deployments import deployments
from plimsoll.targets.kubernetes.manifests.disaggregated import PREFILL
from plimsoll.targets.kubernetes.manifests.failover import VERSION as FAILOVER
from plimsoll.targets.kubernetes.manifests.failover import words_of_failover
from plimsoll.targets.kubernetes.manifests.inference_pool import PICKER
from plimsoll.targets.kubernetes.names import LEASES
from plimsoll.targets.kubernetes.namespace import REMOVAL_LIMIT, await_end, is_made
from plimsoll.targets.kubernetes.neighbours import neighbours, remnants, told
from plimsoll.targets.kubernetes.own_objects import OwnObjects
from plimsoll.targets.kubernetes.reasons.ack import endpoint_state
from plimsoll.targets.kubernetes.standing import service_name

Found = TypeVar("Found")
KINDS = (
    (SAGEMAKER, "Endpoint"),
    (SAGEMAKER, "EndpointConfig"),
    (SAGEMAKER, "Model"),
    (SAGEMAKER, "TrainingJob"),
    (ENVOY, "BackendTrafficPolicy"),
    (GATEWAY, "HTTPRoute"),
    (GATEWAY, "Gateway"),
    (INFERENCE, "InferencePool"),
    (MONITORING, "ServiceMonitor"),
    (MONITORING, "PrometheusRule"),
    (KEDA, "ScaledObject"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    (KSERVE, "InferenceService"),
    (KSERVE_LLM, "LLMInferenceService"),
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
    (RBAC, "RoleBinding"),
    (RBAC, "Role"),
    ("v1", "ServiceAccount"),
)
"""Every kind that an application may have made, what uses others before what is used."""
BEYOND_GRACE = 30.0
"""Seconds for a pod to be gone after those that it has to end."""
COLLECTED_LIMIT = 15.0
"""Seconds for the cluster to collect what it has made for objects that are gone."""
_LOOK = 0.5


def services(api: Api, application: str, namespace: str) -> Mapping[str, str]:
    """Addresses of the services that are up, by name: at the gateway where there is one, else inside the cluster."""
    selector = names.selector(names.of_application(application))
    ways = {}
    for _, _, each in listed(api, [(GATEWAY, "Gateway")], namespace, selector):
        addresses = each.get("status", {}).get("addresses", [])
        if addresses and has_condition(each, "Programmed"):
            ways["gateway"] = f"http://{_host(addresses[0]['value'])}"
    found = {}
    for each in deployments(api, namespace, selector):
        labels = each["metadata"]["labels"]
        service = labels.get(names.SERVICE) if labels.get(names.VERSION) not in {PICKER, PREFILL, FAILOVER} else None
        if service and each.get("status", {}).get("availableReplicas", 0):
            inside = f"http://{service_name(api, application, namespace, service)}.{namespace}.svc"
            found[service] = f"{ways['gateway']}/{service}" if "gateway" in ways else inside
    if "gateway" in ways:
        for _, _, each in listed(api, [(GATEWAY, "HTTPRoute")], namespace, selector):
            if words_of_failover(each):
                # It is up, by servers of another target.
                service = each["metadata"]["labels"].get(names.SERVICE, "")
                found.setdefault(service, f"{ways['gateway']}/{service}")
    for _, _, each in listed(api, [(SAGEMAKER, "Endpoint")], namespace, selector):
        service = each["metadata"]["labels"].get(names.SERVICE)
        if service and endpoint_state(each).state == "done":
            found[service] = f"sagemaker:{each['metadata']['name']}"
    return found


def _host(address: str) -> str:
    """An address as it stands in a URL: one of IPv6 is in brackets."""
    return f"[{address}]" if address.count(":") > 1 else address


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


def remove(
    api: Api, application: str, namespace: str, say: Callable[[str], None] = lambda _: None, lease: str = ""
) -> list[str]:
    """Delete all that carries the application's label, and nothing else; gives what was found, as kind/name.

    A namespace that was made for the application goes too, unless it holds, or may hold, anything else; then `say` is
    told what. `lease` is an object, as kind/name, that whoever removes the rest holds until the end. Raises TargetError
    that names what does not go.
    """
    own = OwnObjects(api, application, namespace)
    found = [each for each in _own(api, application, namespace, KINDS) if _reference(each) != lease]
    removed = [_reference(each) for each in found if own.delete(each)]
    if not found and (places := _elsewhere(api, application, namespace)):
        say(f"the application has objects in {', '.join(places)}: name the namespace with --namespace")
    _await_gone(api, application, namespace, lease)
    place = _readable(lambda: api.find("v1", "Namespace", namespace))
    if place is None or not is_made(application, place):
        return removed
    if kept := _kept_by(api, application, namespace):
        say(f"the namespace {namespace} stays: {kept}")
        _leave(api, place)
        return removed
    metadata = place["metadata"]
    exactly = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
    api.delete("v1", "Namespace", namespace, exactly=exactly)
    await_end(api, namespace)
    return [*removed, f"Namespace/{namespace}"]


def _own(api: Api, application: str, namespace: str, kinds: Iterable[tuple[str, str]]) -> list[Manifest]:
    """The application's objects of these kinds, in the order of the kinds.

    Raises ApiError for a kind that the user may make and not list: objects of theirs would be overlooked.
    """
    selector = names.selector({names.APPLICATION: application})
    found = listed(api, kinds, namespace, selector)
    return [{**each, "apiVersion": api_version, "kind": kind} for api_version, kind, each in found]


def _elsewhere(api: Api, application: str, namespace: str) -> list[str]:
    """Other namespaces with a run of the application, as far as the user may look into them."""
    selector = names.selector(names.of_application(application))
    found = _readable(lambda: api.list("v1", "ConfigMap", None, selector)) or []
    return sorted({each["metadata"]["namespace"] for each in found} - {namespace})


def _reference(found: Manifest) -> str:
    return f"{found['kind']}/{found['metadata']['name']}"


def _await_gone(api: Api, application: str, namespace: str, lease: str) -> None:
    kinds = (*KINDS, ("v1", "Pod"))

    def left() -> list[tuple[str, Manifest]]:
        found = _own(api, application, namespace, kinds)
        return [(each["kind"], each) for each in found if _reference(each) != lease]

    # A server of a language model may go on until its answers are whole.
    graces = [each["spec"].get("terminationGracePeriodSeconds", 0) for kind, each in left() if kind == "Pod"]
    await_gone(left, namespace, max(REMOVAL_LIMIT, max(graces, default=0) + BEYOND_GRACE))


def _kept_by(api: Api, application: str, namespace: str) -> str:
    """What of others lies in the namespace, or may lie there, in words; empty without any."""
    deadline = time.monotonic() + COLLECTED_LIMIT
    while True:
        there = content(api, namespace)
        theirs, left = neighbours(application, there.found), remnants(application, there.found)
        if theirs or there.hidden or not left or time.monotonic() > deadline:
            return told([*theirs, *left], there.hidden)
        time.sleep(_LOOK)


def _leave(api: Api, place: Manifest) -> None:
    """Leave a namespace to those who are in it: whoever of ours goes last takes it away."""
    change = {"metadata": {"uid": place["metadata"]["uid"], "labels": {names.APPLICATION: None}}}
    _readable(lambda: api.patch({**place, "apiVersion": "v1", "kind": "Namespace"}, change))


def _readable(ask: Callable[[], Found]) -> Found | None:
    """An answer; None where the user has no right to it."""
    try:
        return ask()
    except ApiError as error:
        if error.status != 403:
            raise
        return None
