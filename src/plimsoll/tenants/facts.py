"""What a cluster has that decides how a tenant is walled off."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from plimsoll.errors import TargetError
from plimsoll.kubernetes import nodes
from plimsoll.kubernetes.api import MANIFESTS, Api, Manifest
from plimsoll.kubernetes.cluster import ACCELERATORS, DRA, KUEUE, RegistryPlace
from plimsoll.kubernetes.discovery import published_registry

POLICIES = "admissionregistration.k8s.io/v1"
_PRIORITIES = "scheduling.k8s.io/v1"


class TenantFacts(Struct, frozen=True, kw_only=True):
    """`accelerators` are resources of device plugins, `classes` device classes of DRA.

    `queues` says that Kueue is there, and `policies` that the API server carries admission policies out (1.30).
    `priority` is the priority class that pods have by themselves. `registry` is the Service, as (name, namespace), of
    the registry that the cluster publishes, where it lies inside.
    """

    accelerators: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    queues: bool = False
    policies: bool = False
    priority: str = ""
    registry: tuple[str, str] | None = None


def look(api: Api) -> TenantFacts:
    """Read what decides. Raises ApiError with the right that is missing."""
    resources: set[str] = set()
    for page in api.pages("v1", "Node", MANIFESTS):
        resources |= accelerators_in(page)
    classes = _names(api, DRA, "DeviceClass")
    priorities = api.list(_PRIORITIES, "PriorityClass") if api.serves(_PRIORITIES, "PriorityClass") else []
    return TenantFacts(
        accelerators=tuple(sorted(resources)),
        classes=classes,
        queues=api.serves(KUEUE, "ClusterQueue"),
        policies=api.serves(POLICIES, "ValidatingAdmissionPolicy"),
        priority=next((each["metadata"]["name"] for each in priorities if each.get("globalDefault")), ""),
        registry=_inside(published_registry(api)),
    )


def accelerators_in(found: Iterable[Manifest]) -> set[str]:
    """Resources of device plugins that count accelerators."""
    return {name for node in found for name in nodes.allocatable(node) if is_accelerator(name)}


def is_accelerator(resource: str) -> bool:
    """Whether a resource counts accelerators, by the names that vendors give."""
    word = resource.rpartition("/")[2]
    return resource in ACCELERATORS or ("/" in resource and word.startswith(("gpu", "accelerator", "mig-", "tpu")))


def require_fitting(queue: bool, registry: bool, facts: TenantFacts, target: str) -> None:
    """Raise TargetError for what the cluster does not have."""
    if queue and not facts.queues:
        hint = "install Kueue, or leave --queue out: the quota holds without it"
        raise TargetError("a queue of the tenant's own needs Kueue, which is not there", where=target, hint=hint)
    if registry and facts.registry is None:
        hint = "publish it (ConfigMap local-registry-hosting in kube-public, KEP-1755), or give the tenant another one"
        raise TargetError("the cluster publishes no registry inside itself", where=target, hint=hint)


def _names(api: Api, api_version: str, kind: str) -> tuple[str, ...]:
    found = api.list(api_version, kind) if api.serves(api_version, kind) else []
    return tuple(sorted(each["metadata"]["name"] for each in found))


def _inside(place: RegistryPlace | None) -> tuple[str, str] | None:
    """The Service of a registry inside the cluster, from the name that pods know it by."""
    host = place.pods.partition("/")[0].partition(":")[0] if place is not None else ""
    words = host.removesuffix(".cluster.local").split(".")
    return (words[0], words[1]) if len(words) == 3 and words[2] == "svc" else None
