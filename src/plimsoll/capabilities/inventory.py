"""What a cluster has, read without making anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from msgspec import Struct

from plimsoll.decoding import decodable
from plimsoll.evidence.observation import Observation, observed
from plimsoll.kubernetes.api import MANIFESTS, Api, ApiError, Manifest, Page

SUBJECT = "inventory"
# Groups whose objects say who schedules, routes, scales, measures and operates.
_LISTED = (
    ("storage-class", "storage.k8s.io/v1", "StorageClass"),
    ("runtime-class", "node.k8s.io/v1", "RuntimeClass"),
    ("device-class", "resource.k8s.io/v1", "DeviceClass"),
    ("gateway-class", "gateway.networking.k8s.io/v1", "GatewayClass"),
    ("node-pool", "karpenter.sh/v1", "NodePool"),
    ("cluster-queue", "kueue.x-k8s.io/v1beta1", "ClusterQueue"),
    ("prometheus", "monitoring.coreos.com/v1", "Prometheus"),
    ("webhooks", "admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
    ("mutating-webhooks", "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
)
_LABELS = (
    "topology.kubernetes.io/",
    "node.kubernetes.io/instance-type",
    "karpenter.sh/",
    "plimsoll.dev/",
    "nvidia.com/",
)


def take(api: Api, record: Callable[[Sequence[Observation]], None]) -> None:
    """Record the inventory. What may not be read is recorded as such. Raises ApiError when the cluster is not there.

    Pods, of which there may be many, are counted beside the rest; nothing is kept of the pages that were read.
    """

    def note(event: str, **values: Any) -> None:
        record([observed("check", SUBJECT, event, **values)])

    note("version", **{key: api.request("GET", "/version")[key] for key in ("gitVersion", "platform")})
    note("served", versions=_served(api))
    reads: list[tuple[str, Callable[[], object]]] = [
        ("cluster", lambda: note("cluster", uid=api.get("v1", "Namespace", "kube-system")["metadata"]["uid"])),
        ("nodes", lambda: _nodes(api, record)),
        ("slices", lambda: _slices(api, note)),
        ("deployments", lambda: note("deployments", found=_deployments(api))),
        *((row[0], partial(_list, api, note, *row)) for row in _LISTED),
    ]

    def attempt(what: str, read: Callable[[], object]) -> None:
        try:
            read()
        except ApiError as error:
            if error.status in (0, 401):
                raise
            note("unreadable", what=what, status=error.status, message=error.message)

    with ThreadPoolExecutor(1) as beside:
        pods = beside.submit(attempt, "pods", lambda: note("pods", **_pods(api)))
        for what, read in reads:
            attempt(what, read)
        pods.result()


def _served(api: Api) -> list[str]:
    groups = api.request("GET", "/apis")["groups"]
    return ["v1", *sorted(version["groupVersion"] for group in groups for version in group["versions"])]


def _nodes(api: Api, record: Callable[[Sequence[Observation]], None]) -> None:
    for page in api.pages("v1", "Node", MANIFESTS):
        record([observed("check", SUBJECT, "node", **_node(each)) for each in page])


class _Resources(Struct, frozen=True):
    requests: dict[str, str] = {}


class _Container(Struct, frozen=True):
    resources: _Resources = _Resources()


class _PodSpec(Struct, rename="camel"):
    containers: list[_Container] = []
    node_name: str = ""
    scheduler_name: str = ""


class _PodStatus(Struct):
    phase: str = ""


class _Pod(Struct):
    spec: _PodSpec
    status: _PodStatus


_PODS = decodable(Page[_Pod])


def _pods(api: Api) -> dict[str, Any]:
    """How many there are by scheduler, and what they hold of each node's extended resources."""
    schedulers: Counter[str] = Counter()
    held: dict[str, Counter[str]] = {}
    for page in api.pages("v1", "Pod", _PODS):
        for pod in page:
            schedulers[pod.spec.scheduler_name] += 1
            if not pod.spec.node_name or pod.status.phase in ("Succeeded", "Failed"):
                continue
            for container in pod.spec.containers:
                for name, count in container.resources.requests.items():
                    if "/" in name:
                        held.setdefault(pod.spec.node_name, Counter())[name] += int(count)
    return {"count": schedulers.total(), "schedulers": schedulers, "held": held}


def _node(found: Manifest) -> dict[str, Any]:
    status, metadata = found["status"], found["metadata"]
    conditions = {each["type"]: each["status"] for each in status.get("conditions", [])}
    return {
        "name": metadata["name"],
        "uid": metadata["uid"],
        "ready": conditions.get("Ready") == "True",
        "schedulable": not found["spec"].get("unschedulable", False),
        "taints": [
            {key: each.get(key, "") for key in ("key", "value", "effect")} for each in found["spec"].get("taints", [])
        ],
        "labels": {key: value for key, value in metadata.get("labels", {}).items() if key.startswith(_LABELS)},
        "allocatable": status.get("allocatable", {}),
        "runtime": status["nodeInfo"].get("containerRuntimeVersion", ""),
        "kubelet": status["nodeInfo"].get("kubeletVersion", ""),
    }


def _slices(api: Api, note: Callable[..., None]) -> None:
    if api.serves("resource.k8s.io/v1", "ResourceSlice"):
        for each in api.list("resource.k8s.io/v1", "ResourceSlice"):
            note("slice", **_slice(each))


def _slice(found: Manifest) -> dict[str, Any]:
    spec = found["spec"]
    devices = [
        {
            "name": each["name"],
            "attributes": {key: next(iter(value.values()), "") for key, value in each.get("attributes", {}).items()},
            "texts": [key for key, value in each.get("attributes", {}).items() if "string" in value],
            "shared": bool(each.get("allowMultipleAllocations")),
            "counters": [
                counter["counterSet"] for counter in each.get("consumesCounters", []) if "counterSet" in counter
            ],
        }
        for each in spec.get("devices", [])
    ]
    return {
        "driver": spec["driver"],
        "pool": spec["pool"]["name"],
        "node": spec.get("nodeName", ""),
        "devices": devices,
    }


def _deployments(api: Api) -> list[dict[str, Any]]:
    found = []
    for kind in ("Deployment", "StatefulSet", "DaemonSet"):
        for each in api.list("apps/v1", kind):
            images = [container["image"] for container in each["spec"]["template"]["spec"]["containers"]]
            metadata = each["metadata"]
            found.append({"kind": kind, "namespace": metadata["namespace"], "name": metadata["name"], "images": images})
    return found


def _list(api: Api, note: Callable[..., None], event: str, api_version: str, kind: str) -> None:
    if not api.serves(api_version, kind):
        return
    for each in api.list(api_version, kind):
        note(event, name=each["metadata"]["name"], **_details(event, each))


def _details(event: str, found: Manifest) -> dict[str, Any]:
    if event == "gateway-class":
        conditions = {each["type"]: each["status"] for each in found.get("status", {}).get("conditions", [])}
        return {"controller": found["spec"]["controllerName"], "accepted": conditions.get("Accepted") == "True"}
    if event in ("webhooks", "mutating-webhooks"):
        hooks = [
            {
                "name": hook["name"],
                "service": hook["clientConfig"].get("service", {}),
                "url": hook["clientConfig"].get("url", ""),
                "policy": hook.get("failurePolicy", ""),
                "kinds": [
                    f"{resource}.{group}"
                    for rule in hook.get("rules", [])
                    for group in rule.get("apiGroups", [])
                    for resource in rule.get("resources", [])
                ],
            }
            for hook in found.get("webhooks", [])
        ]
        return {"hooks": hooks}
    if event == "prometheus":
        kinds = {"ServiceMonitor": "serviceMonitorSelector", "PodMonitor": "podMonitorSelector"}
        selectors = {kind: found["spec"].get(key, {}).get("matchLabels", {}) for kind, key in kinds.items()}
        return {"namespace": found["metadata"]["namespace"], "selectors": selectors}
    if event == "runtime-class":
        return {"handler": found["handler"]}
    if event == "node-pool":
        return {
            "limits": found["spec"].get("limits", {}),
            "labels": found["spec"]["template"].get("metadata", {}).get("labels", {}),
        }
    return {}
