"""Reads what a cluster has. The only place where facts for planning come from the API."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import yaml

from plimsoll.decoding import decodable
from plimsoll.kubernetes import nodes
from plimsoll.kubernetes.api import Api, ApiError
from plimsoll.kubernetes.cluster import DRA, GATEWAY, KINDS, KUEUE, Cluster, Node, RegistryPlace
from plimsoll.kubernetes.objects import has_condition, is_accepted
from plimsoll.kubernetes.quantities import number

PUBLIC = "kube-public"
HOSTING = "local-registry-hosting"
OURS = "plimsoll"
_PLAIN = frozenset({"cpu", "memory", "pods", "ephemeral-storage"})
BASE = "docker.io/library/python:3.11-slim"


def look(
    api: Api,
    namespace: str,
    registry: str | None = None,
    base: str | None = None,
    is_foreign: Callable[[dict[str, Any]], bool] = lambda _: False,
) -> Cluster:
    """What can be seen with the caller's rights; what may not be read counts as not there.

    `registry` and `base` are what the caller says, before what the cluster publishes; `is_foreign` says of a queue
    that it is not for the caller. Raises ApiError when the cluster does not answer.
    """
    version = api.request("GET", "/version")["gitVersion"]
    with ThreadPoolExecutor(8) as pool:
        kinds = pool.map(lambda kind: _serves(api, kind), KINDS)
        served = frozenset(kind for kind, there in zip(KINDS, kinds, strict=True) if there)
        machines = pool.submit(_nodes, api)
        queues = pool.submit(_names, api, served, KUEUE, "LocalQueue", namespace, is_foreign)
        admitting = pool.submit(_admitting, api, served)
        gateways = pool.submit(_gateways, api, served)
        classes = pool.submit(_names, api, served, DRA, "DeviceClass", None, is_foreign)
        published = pool.submit(_published, api)
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
    )


def _serves(api: Api, kind: str) -> bool:
    api_version, _, name = kind.rpartition("/")
    try:
        return api.serves(api_version, name)
    except ApiError as error:
        if error.status == 0:
            raise
        return False


def _has_group(api: Api, group: str) -> bool:
    return bool(_readable(lambda: [each for each in api.request("GET", "/apis")["groups"] if each["name"] == group]))


def _readable(read: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    try:
        return read()
    except ApiError as error:
        if error.status in (401, 0):
            raise
        return []


def _nodes(api: Api) -> tuple[Node, ...]:
    found = []
    for each in _readable(lambda: api.list("v1", "Node")):
        if not nodes.is_schedulable(each) or not nodes.is_ready(each):
            continue
        resources = nodes.allocatable(each)
        found.append(
            Node(
                name=each["metadata"]["name"],
                cpu=float(number(resources.get("cpu", "0"))),
                memory=int(number(resources.get("memory", "0"))),
                extended={name: int(number(count)) for name, count in resources.items() if _is_extended(name)},
                labels=each["metadata"].get("labels", {}),
                taints=tuple(taint.key for taint in nodes.taints(each) if taint.keeps_pods_off),
                kubelet=nodes.kubelet_version(each),
                runtime=nodes.container_runtime(each),
            )
        )
    return tuple(found)


def _is_extended(name: str) -> bool:
    return name not in _PLAIN and "/" in name and not name.startswith("hugepages")


def _names(
    api: Api,
    served: frozenset[str],
    api_version: str,
    kind: str,
    namespace: str | None,
    is_foreign: Callable[[dict[str, Any]], bool],
) -> list[str]:
    if f"{api_version}/{kind}" not in served:
        return []
    found = _readable(lambda: api.list(api_version, kind, namespace))
    return sorted(each["metadata"]["name"] for each in found if not is_foreign(each))


def _admitting(api: Api, served: frozenset[str]) -> tuple[str, ...]:
    """ClusterQueues that take from every namespace: an empty selector; none at all takes from nobody."""
    if f"{KUEUE}/LocalQueue" not in served:
        return ()
    found = _readable(lambda: api.list(KUEUE, "ClusterQueue"))
    return tuple(
        sorted(
            each["metadata"]["name"]
            for each in found
            if each["spec"].get("namespaceSelector") == {} and has_condition(each, "Active")
        )
    )


def _gateways(api: Api, served: frozenset[str]) -> tuple[str, ...]:
    if f"{GATEWAY}/HTTPRoute" not in served:
        return ()
    found = _readable(lambda: api.list(GATEWAY, "GatewayClass"))
    return tuple(sorted(each["metadata"]["name"] for each in found if is_accepted(each)))


def _published(api: Api) -> tuple[RegistryPlace | None, dict[str, str]]:
    """What the platform publishes: its registry (KEP-1755), and what plimsoll is to build upon."""
    hosting, ours = (_data(api, name) for name in (HOSTING, OURS))
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


def _data(api: Api, name: str) -> dict[str, str]:
    try:
        found: dict[str, str] = api.get("v1", "ConfigMap", name, PUBLIC).get("data", {})
    except ApiError as error:
        if error.status in (401, 0):
            raise
        return {}
    return found
