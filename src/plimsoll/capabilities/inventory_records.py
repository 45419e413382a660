"""What the inventory records of a cluster."""

from __future__ import annotations

from msgspec import Struct

from plimsoll.capabilities.records import CheckRecord, make_decodable
from plimsoll.kubernetes.nodes import Taint


class KubernetesVersion(CheckRecord, frozen=True, kw_only=True, tag="version", rename={"git_version": "gitVersion"}):
    """The version of the API server, such as v1.37.0."""

    git_version: str
    platform: str = ""


class ServedVersions(CheckRecord, frozen=True, kw_only=True, tag="served"):
    """API groups with versions that the cluster serves, such as apps/v1."""

    versions: tuple[str, ...]


class ClusterIdentity(CheckRecord, frozen=True, kw_only=True, tag="cluster"):
    """The UID of the namespace kube-system."""

    uid: str


class NodeFound(CheckRecord, frozen=True, kw_only=True, tag="node"):
    """A node; `labels` are those that say where it stands, who made it, and which accelerators it has."""

    name: str
    uid: str = ""
    ready: bool
    schedulable: bool
    taints: tuple[Taint, ...]
    labels: dict[str, str]
    allocatable: dict[str, str]
    runtime: str = ""
    kubelet: str = ""


AttributeValue = bool | int | str


class SliceDevice(Struct, frozen=True, kw_only=True):
    """A device of a ResourceSlice.

    `texts` are the attributes whose values are strings. `shared` says that several claims may hold it. `counters` are
    the counter sets that it draws on: parts of one device share them.
    """

    name: str
    attributes: dict[str, AttributeValue | list[AttributeValue]]
    texts: tuple[str, ...] = ()
    shared: bool
    counters: tuple[str, ...]

    @property
    def body(self) -> str:
        """The physical device: the name of its counters, or its own name when it has none."""
        return self.counters[0] if self.counters else self.name


class SliceFound(CheckRecord, frozen=True, kw_only=True, tag="slice"):
    """A ResourceSlice of a DRA driver; `node` is empty when its devices belong to no single node."""

    driver: str
    pool: str
    node: str
    devices: tuple[SliceDevice, ...]


class InstalledWorkload(Struct, frozen=True, kw_only=True):
    """A Deployment, StatefulSet or DaemonSet."""

    kind: str
    namespace: str
    name: str
    images: tuple[str, ...]


class WorkloadsFound(CheckRecord, frozen=True, kw_only=True, tag="deployments"):
    """All workloads of the cluster."""

    found: tuple[InstalledWorkload, ...]


class StorageClassFound(CheckRecord, frozen=True, kw_only=True, tag="storage-class"):
    """A StorageClass."""

    name: str


class RuntimeClassFound(CheckRecord, frozen=True, kw_only=True, tag="runtime-class"):
    """A RuntimeClass and its handler in the container runtime."""

    name: str
    handler: str


class DeviceClassFound(CheckRecord, frozen=True, kw_only=True, tag="device-class"):
    """A DeviceClass."""

    name: str


class GatewayClassFound(CheckRecord, frozen=True, kw_only=True, tag="gateway-class"):
    """A GatewayClass, and whether its controller accepts it."""

    name: str
    controller: str
    accepted: bool


class NodePoolFound(CheckRecord, frozen=True, kw_only=True, tag="node-pool"):
    """A Karpenter node pool."""

    name: str
    limits: dict[str, str | int]
    labels: dict[str, str]


class ClusterQueueFound(CheckRecord, frozen=True, kw_only=True, tag="cluster-queue"):
    """A ClusterQueue of Kueue."""

    name: str


class PrometheusFound(CheckRecord, frozen=True, kw_only=True, tag="prometheus"):
    """A Prometheus of the operator; `selectors` are the labels that it selects, by kind of monitor."""

    name: str
    namespace: str
    selectors: dict[str, dict[str, str]]


class ServiceReference(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The service of a webhook; all fields are empty for a webhook with a URL."""

    name: str = ""
    namespace: str = ""
    path: str = ""
    port: int = 0


class Webhook(Struct, frozen=True, kw_only=True):
    """An admission webhook; `kinds` are the resources of its rules, as resource.group."""

    name: str
    service: ServiceReference
    url: str = ""
    policy: str = ""
    kinds: tuple[str, ...]


class ValidatingWebhooks(CheckRecord, frozen=True, kw_only=True, tag="webhooks"):
    """A ValidatingWebhookConfiguration."""

    name: str
    hooks: tuple[Webhook, ...]


class MutatingWebhooks(CheckRecord, frozen=True, kw_only=True, tag="mutating-webhooks"):
    """A MutatingWebhookConfiguration."""

    name: str
    hooks: tuple[Webhook, ...]


class PodCounts(CheckRecord, frozen=True, kw_only=True, tag="pods"):
    """The number of pods, pods by scheduler, and requested extended resources by node and name."""

    count: int
    schedulers: dict[str, int]
    held: dict[str, dict[str, int]]


class Unreadable(CheckRecord, frozen=True, kw_only=True, tag="unreadable"):
    """A part of the inventory that could not be read."""

    what: str
    status: int = 0
    message: str = ""


InventoryRecord = (
    KubernetesVersion
    | ServedVersions
    | ClusterIdentity
    | NodeFound
    | SliceFound
    | WorkloadsFound
    | StorageClassFound
    | RuntimeClassFound
    | DeviceClassFound
    | GatewayClassFound
    | NodePoolFound
    | ClusterQueueFound
    | PrometheusFound
    | ValidatingWebhooks
    | MutatingWebhooks
    | PodCounts
    | Unreadable
)
make_decodable(InventoryRecord)
