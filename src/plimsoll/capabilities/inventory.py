"""Reads what a cluster has, without creating anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct

from plimsoll.capabilities import inventory_objects as objects
from plimsoll.capabilities.inventory_records import (
    ClusterIdentity,
    KubernetesVersion,
    PodCounts,
    ServedVersions,
    Unreadable,
    WorkloadsFound,
)
from plimsoll.capabilities.records import CheckRecord
from plimsoll.capabilities.rights import READ, Right
from plimsoll.decoding import decodable
from plimsoll.kubernetes.api import MANIFESTS, Api, ApiError, Page

SUBJECT = "inventory"
"""The subject of the inventory's observations."""
RIGHTS = (
    Right(group="", resources=("nodes", "pods", "namespaces"), verbs=READ),
    Right(group="apps", resources=("deployments", "statefulsets", "daemonsets"), verbs=READ),
    Right(group="resource.k8s.io", resources=("resourceslices", "deviceclasses"), verbs=READ),
    Right(group="node.k8s.io", resources=("runtimeclasses",), verbs=READ),
    Right(group="storage.k8s.io", resources=("storageclasses",), verbs=READ),
    Right(
        group="admissionregistration.k8s.io",
        resources=("validatingwebhookconfigurations", "mutatingwebhookconfigurations"),
        verbs=READ,
    ),
    Right(group="gateway.networking.k8s.io", resources=("gatewayclasses",), verbs=READ),
    Right(group="karpenter.sh", resources=("nodepools",), verbs=READ),
    Right(group="monitoring.coreos.com", resources=("prometheuses",), verbs=READ),
    Right(group="kueue.x-k8s.io", resources=("clusterqueues",), verbs=READ),
)
"""The rights that the inventory needs."""
Write = Callable[[Sequence[CheckRecord]], None]


def take_inventory(api: Api, write: Write) -> None:
    """Read the inventory and write its records. A part that may not be read is recorded as unreadable.

    Pods, of which there may be many, are counted in a second thread, page by page. Raises ApiError when the cluster
    does not answer or the credentials are refused.
    """
    version = api.request("GET", "/version")
    write([KubernetesVersion(git_version=version["gitVersion"], platform=version["platform"])])
    write([ServedVersions(versions=_served_versions(api))])
    reads: list[tuple[str, Callable[[], None]]] = [
        ("cluster", lambda: write([_identity(api)])),
        ("nodes", lambda: _write_nodes(api, write)),
        ("slices", lambda: _write_slices(api, write)),
        ("deployments", lambda: write([WorkloadsFound(found=tuple(objects.workloads(api)))])),
        *((listed.event, _reader(api, write, listed)) for listed in objects.LISTED),
    ]

    def attempt(what: str, read: Callable[[], None]) -> None:
        try:
            read()
        except ApiError as error:
            if error.status in (0, 401):
                raise
            write([Unreadable(what=what, status=error.status, message=error.message)])

    with ThreadPoolExecutor(1) as beside:
        pods = beside.submit(attempt, "pods", lambda: write([_count_pods(api)]))
        for what, read in reads:
            attempt(what, read)
        pods.result()


def _served_versions(api: Api) -> tuple[str, ...]:
    groups = api.request("GET", "/apis")["groups"]
    return ("v1", *sorted(version["groupVersion"] for group in groups for version in group["versions"]))


def _identity(api: Api) -> ClusterIdentity:
    return ClusterIdentity(uid=api.get("v1", "Namespace", "kube-system")["metadata"]["uid"])


def _write_nodes(api: Api, write: Write) -> None:
    for page in api.pages("v1", "Node", MANIFESTS):
        write([objects.node(each) for each in page])


def _write_slices(api: Api, write: Write) -> None:
    if api.serves("resource.k8s.io/v1", "ResourceSlice"):
        write([objects.resource_slice(each) for each in api.list("resource.k8s.io/v1", "ResourceSlice")])


def _reader(api: Api, write: Write, listed: objects.Listed) -> Callable[[], None]:
    def read() -> None:
        if api.serves(listed.api_version, listed.kind):
            write([listed.record(each) for each in api.list(listed.api_version, listed.kind)])

    return read


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


def _count_pods(api: Api) -> PodCounts:
    """Pods by scheduler, and the extended resources that pods request on each node."""
    schedulers: Counter[str] = Counter()
    held: dict[str, dict[str, int]] = {}
    for page in api.pages("v1", "Pod", _PODS):
        for pod in page:
            schedulers[pod.spec.scheduler_name] += 1
            if not pod.spec.node_name or pod.status.phase in ("Succeeded", "Failed"):
                continue
            for container in pod.spec.containers:
                for name, count in container.resources.requests.items():
                    if "/" in name:
                        of_node = held.setdefault(pod.spec.node_name, {})
                        of_node[name] = of_node.get(name, 0) + int(count)
    return PodCounts(count=schedulers.total(), schedulers=dict(schedulers), held=held)
