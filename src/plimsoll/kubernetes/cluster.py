"""What a cluster has, as plain values: read once, then planned with."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

JOBSET = "jobset.x-k8s.io/v1alpha2"
KUEUE = "kueue.x-k8s.io/v1beta1"
POD_GROUP = "scheduling.k8s.io/v1beta1"
TRAINER = "trainer.kubeflow.org/v1alpha1"
RAY = "ray.io/v1"
GATEWAY = "gateway.networking.k8s.io/v1"
KSERVE = "serving.kserve.io/v1beta1"
KSERVE_LLM = "serving.kserve.io/v1alpha2"
ENVOY = "gateway.envoyproxy.io/v1alpha1"
KEDA = "keda.sh/v1alpha1"
MONITORING = "monitoring.coreos.com/v1"
INFERENCE = "inference.networking.k8s.io/v1"
DRA = "resource.k8s.io/v1"
RBAC = "rbac.authorization.k8s.io/v1"
SAGEMAKER = "sagemaker.services.k8s.aws/v1alpha1"
KINDS = (
    f"{JOBSET}/JobSet",
    f"{KUEUE}/LocalQueue",
    f"{POD_GROUP}/PodGroup",
    f"{TRAINER}/TrainJob",
    f"{TRAINER}/TrainingRuntime",
    f"{RAY}/RayJob",
    f"{GATEWAY}/HTTPRoute",
    f"{GATEWAY}/Gateway",
    f"{ENVOY}/BackendTrafficPolicy",
    f"{KSERVE}/InferenceService",
    f"{KSERVE_LLM}/LLMInferenceService",
    f"{KEDA}/ScaledObject",
    f"{MONITORING}/ServiceMonitor",
    f"{MONITORING}/PrometheusRule",
    f"{INFERENCE}/InferencePool",
    f"{DRA}/DeviceClass",
    f"{SAGEMAKER}/TrainingJob",
    f"{SAGEMAKER}/Model",
    f"{SAGEMAKER}/EndpointConfig",
    f"{SAGEMAKER}/Endpoint",
)
"""Kinds whose presence decides what carries a need."""
READ_ONLY = frozenset({f"{DRA}/DeviceClass"})
"""Of these, those of which nothing is made."""
RACKS = ("topology.kubernetes.io/rack", "plimsoll.dev/rack", "topology-rack", "cloud.provider.com/topology-rack")
"""Labels by which platforms say where in a rack a node stands; there is no standard one."""
ACCELERATORS = (
    *("nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/i915", "habana.ai/gaudi"),
    *("google.com/tpu", "aws.amazon.com/neuron"),
)


class Node(Struct, frozen=True, kw_only=True):
    """A node that takes pods. `cpu` is in cores and `memory` in bytes, as allocatable; `extended` counts devices.

    `kubelet` and `runtime` are versions as the node tells them, such as `v1.37.2` and `containerd://2.4.2`;
    `architecture` is as images name it, such as `amd64`.
    """

    name: str
    cpu: float
    memory: int
    extended: Mapping[str, int] = {}
    labels: Mapping[str, str] = {}
    taints: tuple[str, ...] = ()
    kubelet: str = ""
    runtime: str = ""
    architecture: str = ""

    @property
    def mounts_images(self) -> bool:
        """Whether its kubelet and runtime mount images as volumes (KEP-4639): on by default from 1.35 and 2.1 on."""
        name, _, version = self.runtime.partition("://")
        least = {"containerd": (2, 1), "cri-o": (1, 31)}.get(name)
        return least is not None and _numbers(version) >= least and _numbers(self.kubelet) >= (1, 35)


class RegistryPlace(Struct, frozen=True, kw_only=True):
    """An OCI registry by its three names: for nodes, for pods, and for us; `None` for us means through the API server.

    Source: KEP-1755, the ConfigMap local-registry-hosting.
    """

    nodes: str
    pods: str
    us: str | None = None


class PodAccount(Struct, frozen=True, kw_only=True):
    """The account by which pods are somebody to the cloud. `made` says that it is ours, with `annotations`.

    Pods have `pod_labels` beside theirs. With `steps` it is also that of pods which run the user's commands.
    """

    name: str
    made: bool
    steps: bool = False
    annotations: Mapping[str, str] = {}
    pod_labels: Mapping[str, str] = {}


class SageMakerPlace(Struct, frozen=True, kw_only=True):
    """How trainings are handed to SageMaker: the role of the jobs, where they leave what they make, their machines.

    `volume` is in GB. `serve` is the machine of services, empty where they run in pods. Without `subnets` they are in
    no VPC of the user.
    """

    role: str
    output: str
    instance: str
    volume: int
    serve: str = ""
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()


class Cluster(Struct, frozen=True, kw_only=True):
    """What was seen of a cluster. `served` has kinds as group/version/Kind; `queues` are LocalQueues of our namespace.

    `admitting` are ClusterQueues that take from every namespace; `classes` are device classes of DRA; `base` is the
    image that code is laid upon; `custom_metrics` says that autoscalers can ask for pods' own figures.

    `barred` are served kinds of which the caller may not make objects in the namespace, each with the verb that is
    missing; `unseen` are resources, such as `nodes`, that the caller may not list, so that nothing is known of them.
    `pull_secrets` are names of Secrets with which the namespace's own account pulls images. `runtime_classes` maps each
    RuntimeClass to its handler. `identity` is what the caller says that pods are to the cloud, and
    `sagemaker` how it says that trainings are handed to SageMaker.
    """

    target: str
    namespace: str
    version: str = ""
    served: frozenset[str] = frozenset()
    nodes: tuple[Node, ...] = ()
    queues: tuple[str, ...] = ()
    admitting: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    custom_metrics: bool = False
    registry: RegistryPlace | None = None
    base: str = ""
    barred: Mapping[str, str] = {}
    unseen: frozenset[str] = frozenset()
    pull_secrets: tuple[str, ...] = ()
    runtime_classes: Mapping[str, str] = {}
    identity: PodAccount | None = None
    sagemaker: SageMakerPlace | None = None

    def serves(self, kind: str) -> bool:
        """Whether a kind, as group/version/Kind, is served."""
        return kind in self.served

    def takes(self, kind: str) -> bool:
        """Whether a kind is served and the caller may make objects of it."""
        return kind in self.served and kind not in self.barred

    @property
    def mounts_images(self) -> bool:
        """Whether every node mounts images: what several pods of a node read is then on it once."""
        return bool(self.nodes) and all(node.mounts_images for node in self.nodes)

    @property
    def architectures(self) -> tuple[str, ...]:
        """Architectures of the nodes; empty where none is known."""
        return tuple(sorted({node.architecture for node in self.nodes if node.architecture}))

    @property
    def rack_label(self) -> str | None:
        """The label that says a node's rack; `None` where no node has one."""
        return next((label for label in RACKS if any(label in node.labels for node in self.nodes)), None)

    @property
    def accelerator(self) -> str | None:
        """The extended resource that most accelerators are counted under; `None` without any."""
        counts: dict[str, int] = {}
        for node in self.nodes:
            for name, count in node.extended.items():
                if name in ACCELERATORS or name.endswith(("/accelerator", "/gpu")):
                    counts[name] = counts.get(name, 0) + count
        return max(counts, key=lambda name: counts[name]) if counts else None


def resource_of(kind: str) -> str:
    """The plural under which objects of a kind lie: `networkpolicies` of NetworkPolicy, `gateways` of Gateway."""
    word = kind.lower()
    if word.endswith("y") and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("s", "x", "ch")) else f"{word}s"


def group_of(api_version: str) -> str:
    """The API group of a version; empty for the core."""
    return api_version.rpartition("/")[0]


def resource_named(kind: str) -> str:
    """The resource of a kind, as group/version/Kind, with its group, as RBAC and kubectl name it."""
    api_version, _, name = kind.rpartition("/")
    group = group_of(api_version)
    return f"{resource_of(name)}{f'.{group}' if group else ''}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])
