"""Reads what a cluster has. The only place where facts for planning come from the API."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
import yaml

from plimsoll.decoding import decodable
from plimsoll.kubernetes import nodes
from plimsoll.kubernetes.access import Access, Act
from plimsoll.kubernetes.api import MANIFESTS, Api, ApiError, Manifest
from plimsoll.kubernetes.cluster import (
    DRA,
    GATEWAY,
    KINDS,
    KUEUE,
    READ_ONLY,
    Cluster,
    Node,
    RegistryPlace,
    group_of,
    resource_named,
    resource_of,
)
from plimsoll.kubernetes.objects import has_condition, is_accepted
from plimsoll.kubernetes.quantities import number

PUBLIC = "kube-public"
HOSTING = "local-registry-hosting"
OURS = "plimsoll"
PUBLISHED = f"configmaps in {PUBLIC}"
"""What the platform publishes, as a resource that may be unseen."""
_PLAIN = frozenset({"cpu", "memory", "pods", "ephemeral-storage"})
BASE = "docker.io/library/python:3.11-slim"


MADE_WITH = ("get", "create", "patch", "list", "delete")
"""Verbs that everything we make needs: it is looked at, applied, found again by its labels, and removed."""


def look(
    api: Api,
    namespace: str,
    registry: str | None = None,
    base: str | None = None,
    access: Access | None = None,
    is_foreign: Callable[[Manifest], bool] = lambda _: False,
) -> Cluster:
    """What can be seen with the caller's rights; what may not be read counts as not there, and is named in `unseen`.

    `registry` and `base` are what the caller says, before what the cluster publishes; `is_foreign` says of a queue
    that it is not for the caller. Raises ApiError when the cluster does not answer.
    """
    version = api.request("GET", "/version")["gitVersion"]
    unseen: set[str] = set()
    with ThreadPoolExecutor(8) as pool:
        kinds = pool.map(lambda kind: _serves(api, kind), KINDS)
        served = frozenset(kind for kind, there in zip(KINDS, kinds, strict=True) if there)
        barred = pool.submit(_barred, access or Access(api), served, namespace)
        machines = pool.submit(_nodes, api, unseen)
        queues = pool.submit(_names, api, served, KUEUE, "LocalQueue", namespace, unseen, is_foreign)
        admitting = pool.submit(_admitting, api, served, unseen)
        gateways = pool.submit(_gateways, api, served, unseen)
        classes = pool.submit(_names, api, served, DRA, "DeviceClass", None, unseen, is_foreign)
        published = pool.submit(_published, api, unseen, wanted=not (registry and base))
        pull_secrets = pool.submit(_pull_secrets, api, namespace, unseen)
        runtimes = pool.submit(_runtime_classes, api, unseen)
        custom_metrics = pool.submit(_has_group, api, "custom.metrics.k8s.io")
    hosting, ours = published.result()
    return Cluster(
        target=api.target,
        namespace=namespace,
        version=version,
        served=served,
        nodes=machines.result(),
        queues=tuple(queues.result()),
        admitting=admitting.result(),
        gateways=gateways.result(),
        classes=tuple(classes.result()),
        custom_metrics=custom_metrics.result(),
        registry=RegistryPlace(nodes=registry, pods=registry, us=registry) if registry else hosting,
        base=base or ours.get("base", "") or BASE,
        barred=barred.result(),
        unseen=frozenset(unseen),
        pull_secrets=pull_secrets.result(),
        runtime_classes=runtimes.result(),
    )


def _barred(access: Access, served: frozenset[str], namespace: str) -> dict[str, str]:
    """Kinds of which the caller may not make objects, each with the first verb that is missing."""
    acts: dict[str, list[Act]] = {}
    for kind in sorted(served - READ_ONLY):
        api_version, _, name = kind.rpartition("/")
        group, resource = group_of(api_version), resource_of(name)
        acts[kind] = [Act(verb=verb, group=group, resource=resource, namespace=namespace) for verb in MADE_WITH]
    lacking = access.lacking(act for each in acts.values() for act in each)
    verbs: dict[str, str] = {}
    for kind, each in acts.items():
        missing = next((act.verb for act in each if act in lacking), "")
        if missing:
            verbs[kind] = missing
    return verbs


def _serves(api: Api, kind: str) -> bool:
    api_version, _, name = kind.rpartition("/")
    try:
        return api.serves(api_version, name)
    except ApiError as error:
        if error.status == 0:
            raise
        return False


def _has_group(api: Api, group: str) -> bool:
    def groups() -> list[Manifest]:
        found: list[Manifest] = api.request("GET", "/apis")["groups"]
        return found

    return any(each["name"] == group for each in _readable(groups, "", set()))


def _readable(read: Callable[[], list[Manifest]], resource: str, unseen: set[str]) -> list[Manifest]:
    """What is listed, nothing for what may not be; the resource is then `unseen`."""
    try:
        return read()
    except ApiError as error:
        if error.status in (401, 0):
            raise
        if error.status == 403:
            unseen.add(resource)
        return []


def _nodes(api: Api, unseen: set[str]) -> tuple[Node, ...]:
    """Page by page: thousands of nodes, each with all the images that it has, are not held at once."""
    found: list[Node] = []
    try:
        for page in api.pages("v1", "Node", MANIFESTS):
            found += [_node(each) for each in page if nodes.is_schedulable(each) and nodes.is_ready(each)]
    except ApiError as error:
        if error.status in (401, 0):
            raise
        if error.status == 403:
            unseen.add("nodes")
        return ()
    return tuple(found)


def _node(manifest: Manifest) -> Node:
    resources = nodes.allocatable(manifest)
    return Node(
        name=manifest["metadata"]["name"],
        cpu=float(number(resources.get("cpu", "0"))),
        memory=int(number(resources.get("memory", "0"))),
        extended={name: int(number(count)) for name, count in resources.items() if _is_extended(name)},
        labels=manifest["metadata"].get("labels", {}),
        taints=tuple(taint.key for taint in nodes.taints(manifest) if taint.keeps_pods_off),
        kubelet=nodes.kubelet_version(manifest),
        runtime=nodes.container_runtime(manifest),
        architecture=nodes.architecture(manifest),
    )


def _is_extended(name: str) -> bool:
    return name not in _PLAIN and "/" in name and not name.startswith("hugepages")


def _names(
    api: Api,
    served: frozenset[str],
    api_version: str,
    kind: str,
    namespace: str | None,
    unseen: set[str],
    is_foreign: Callable[[Manifest], bool],
) -> list[str]:
    if f"{api_version}/{kind}" not in served:
        return []
    resource = resource_named(f"{api_version}/{kind}")
    found = _readable(lambda: api.list(api_version, kind, namespace), resource, unseen)
    return sorted(each["metadata"]["name"] for each in found if not is_foreign(each))


def _admitting(api: Api, served: frozenset[str], unseen: set[str]) -> tuple[str, ...]:
    """ClusterQueues that take from every namespace: an empty selector; none at all takes from nobody."""
    if f"{KUEUE}/LocalQueue" not in served:
        return ()
    found = _readable(lambda: api.list(KUEUE, "ClusterQueue"), resource_named(f"{KUEUE}/ClusterQueue"), unseen)
    return tuple(
        sorted(
            each["metadata"]["name"]
            for each in found
            if each["spec"].get("namespaceSelector") == {} and has_condition(each, "Active")
        )
    )


def _gateways(api: Api, served: frozenset[str], unseen: set[str]) -> tuple[str, ...]:
    if f"{GATEWAY}/HTTPRoute" not in served:
        return ()
    found = _readable(lambda: api.list(GATEWAY, "GatewayClass"), resource_named(f"{GATEWAY}/GatewayClass"), unseen)
    return tuple(sorted(each["metadata"]["name"] for each in found if is_accepted(each)))


def _pull_secrets(api: Api, namespace: str, unseen: set[str]) -> tuple[str, ...]:
    """How pods under the namespace's own account pull images: those under another account are to pull them alike."""

    def account() -> list[Manifest]:
        return [api.get("v1", "ServiceAccount", "default", namespace)]

    return tuple(
        each["name"]
        for found in _readable(account, f"serviceaccounts in {namespace}", unseen)
        for each in found.get("imagePullSecrets") or []
        if each.get("name")
    )


def published_registry(api: Api) -> RegistryPlace | None:
    """The registry that the platform publishes, as far as it may be read."""
    return _published(api, set(), wanted=True)[0]


def _runtime_classes(api: Api, unseen: set[str]) -> dict[str, str]:
    """RuntimeClasses with their handlers."""
    found = _readable(lambda: api.list("node.k8s.io/v1", "RuntimeClass"), "runtimeclasses", unseen)
    return {each["metadata"]["name"]: str(each.get("handler", "")) for each in found}


def _published(api: Api, unseen: set[str], *, wanted: bool) -> tuple[RegistryPlace | None, dict[str, str]]:
    """What the platform publishes: its registry (KEP-1755), and what plimsoll is to build upon."""
    if not wanted:
        return None, {}
    hosting, ours = (_data(api, name, unseen) for name in (HOSTING, OURS))
    try:
        told = yaml.safe_load(hosting.get("localRegistryHosting.v1", "")) or {}
        place = msgspec.convert(told, type=_Hosting)
    except (yaml.YAMLError, msgspec.ValidationError):
        return None, ours
    inside = place.host_from_container_runtime or place.host
    if not inside:
        return None, ours
    return RegistryPlace(nodes=inside, pods=place.host_from_cluster_network or inside, us=place.host), ours


@decodable
class _Hosting(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    host: str | None = None
    host_from_container_runtime: str | None = None
    host_from_cluster_network: str | None = None


def _data(api: Api, name: str, unseen: set[str]) -> dict[str, str]:
    try:
        found: dict[str, str] = api.get("v1", "ConfigMap", name, PUBLIC).get("data", {})
    except ApiError as error:
        if error.status in (401, 0):
            raise
        if error.status == 403:
            unseen.add(PUBLISHED)
        return {}
    return found
