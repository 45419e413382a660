"""How each kind of object becomes a record of the inventory. Pure but for listing workloads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from msgspec import Struct

from plimsoll.capabilities.inventory_records import (
    ClusterQueueFound,
    DeviceClassFound,
    GatewayClassFound,
    InstalledWorkload,
    MutatingWebhooks,
    NodeFound,
    NodePoolFound,
    PrometheusFound,
    RuntimeClassFound,
    ServiceReference,
    SliceDevice,
    SliceFound,
    StorageClassFound,
    ValidatingWebhooks,
    Webhook,
)
from plimsoll.capabilities.records import CheckRecord
from plimsoll.kubernetes import nodes
from plimsoll.kubernetes.api import Api, Manifest
from plimsoll.kubernetes.objects import is_accepted

_LABELS = (
    "topology.kubernetes.io/",
    "node.kubernetes.io/instance-type",
    "karpenter.sh/",
    "plimsoll.dev/",
    "nvidia.com/",
)
_MONITORS = {"ServiceMonitor": "serviceMonitorSelector", "PodMonitor": "podMonitorSelector"}
Named = TypeVar("Named", StorageClassFound, DeviceClassFound, ClusterQueueFound)


class Listed(Struct, frozen=True, kw_only=True):
    """A kind that is listed whole where it is served; `event` is the name of its records."""

    event: str
    api_version: str
    kind: str
    record: Callable[[Manifest], CheckRecord]


def node(found: Manifest) -> NodeFound:
    """A Node."""
    metadata = found["metadata"]
    return NodeFound(
        name=metadata["name"],
        uid=metadata["uid"],
        ready=nodes.is_ready(found),
        schedulable=nodes.is_schedulable(found),
        taints=nodes.taints(found),
        labels={key: value for key, value in metadata.get("labels", {}).items() if key.startswith(_LABELS)},
        allocatable=nodes.allocatable(found),
        runtime=nodes.container_runtime(found),
        kubelet=nodes.kubelet_version(found),
    )


def resource_slice(found: Manifest) -> SliceFound:
    """A ResourceSlice."""
    spec = found["spec"]
    return SliceFound(
        driver=spec["driver"],
        pool=spec["pool"]["name"],
        node=spec.get("nodeName", ""),
        devices=tuple(_device(each) for each in spec.get("devices", [])),
    )


def _device(found: Manifest) -> SliceDevice:
    attributes = found.get("attributes", {})
    return SliceDevice(
        name=found["name"],
        attributes={key: next(iter(value.values()), "") for key, value in attributes.items()},
        texts=tuple(key for key, value in attributes.items() if "string" in value),
        shared=bool(found.get("allowMultipleAllocations")),
        counters=tuple(each["counterSet"] for each in found.get("consumesCounters", []) if "counterSet" in each),
    )


def workloads(api: Api) -> Iterator[InstalledWorkload]:
    """All Deployments, StatefulSets and DaemonSets."""
    for kind in ("Deployment", "StatefulSet", "DaemonSet"):
        for each in api.list("apps/v1", kind):
            metadata = each["metadata"]
            images = tuple(container["image"] for container in each["spec"]["template"]["spec"]["containers"])
            yield InstalledWorkload(kind=kind, namespace=metadata["namespace"], name=metadata["name"], images=images)


def _named(record: type[Named]) -> Callable[[Manifest], Named]:
    return lambda found: record(name=_name(found))


def _name(found: Manifest) -> str:
    return str(found["metadata"]["name"])


def _runtime_class(found: Manifest) -> RuntimeClassFound:
    return RuntimeClassFound(name=_name(found), handler=found["handler"])


def _gateway_class(found: Manifest) -> GatewayClassFound:
    return GatewayClassFound(name=_name(found), controller=found["spec"]["controllerName"], accepted=is_accepted(found))


def _node_pool(found: Manifest) -> NodePoolFound:
    spec = found["spec"]
    labels = spec["template"].get("metadata", {}).get("labels", {})
    return NodePoolFound(name=_name(found), limits=spec.get("limits", {}), labels=labels)


def _prometheus(found: Manifest) -> PrometheusFound:
    selectors = {kind: found["spec"].get(key, {}).get("matchLabels", {}) for kind, key in _MONITORS.items()}
    return PrometheusFound(name=_name(found), namespace=found["metadata"]["namespace"], selectors=selectors)


def _validating(found: Manifest) -> ValidatingWebhooks:
    return ValidatingWebhooks(name=_name(found), hooks=_webhooks(found))


def _mutating(found: Manifest) -> MutatingWebhooks:
    return MutatingWebhooks(name=_name(found), hooks=_webhooks(found))


def _webhooks(found: Manifest) -> tuple[Webhook, ...]:
    return tuple(_webhook(each) for each in found.get("webhooks", []))


def _webhook(found: Manifest) -> Webhook:
    client = found["clientConfig"]
    service = client.get("service", {})
    return Webhook(
        name=found["name"],
        service=ServiceReference(
            name=service.get("name", ""),
            namespace=service.get("namespace", ""),
            path=service.get("path", ""),
            port=service.get("port", 0),
        ),
        url=client.get("url", ""),
        policy=found.get("failurePolicy", ""),
        kinds=tuple(
            f"{resource}.{group}"
            for rule in found.get("rules", [])
            for group in rule.get("apiGroups", [])
            for resource in rule.get("resources", [])
        ),
    )


def _listed(event: str, api_version: str, kind: str, record: Callable[[Manifest], CheckRecord]) -> Listed:
    return Listed(event=event, api_version=api_version, kind=kind, record=record)


_ADMISSION = "admissionregistration.k8s.io/v1"
LISTED = (
    _listed("storage-class", "storage.k8s.io/v1", "StorageClass", _named(StorageClassFound)),
    _listed("runtime-class", "node.k8s.io/v1", "RuntimeClass", _runtime_class),
    _listed("device-class", "resource.k8s.io/v1", "DeviceClass", _named(DeviceClassFound)),
    _listed("gateway-class", "gateway.networking.k8s.io/v1", "GatewayClass", _gateway_class),
    _listed("node-pool", "karpenter.sh/v1", "NodePool", _node_pool),
    _listed("cluster-queue", "kueue.x-k8s.io/v1beta1", "ClusterQueue", _named(ClusterQueueFound)),
    _listed("prometheus", "monitoring.coreos.com/v1", "Prometheus", _prometheus),
    _listed("webhooks", _ADMISSION, "ValidatingWebhookConfiguration", _validating),
    _listed("mutating-webhooks", _ADMISSION, "MutatingWebhookConfiguration", _mutating),
)
"""Kinds that tell who schedules, routes, scales, measures and operates."""
