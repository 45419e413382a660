"""Replicas of a language model behind a gateway as an InferencePool: its picker leads requests by what they have read.

Sources: inference.networking.k8s.io/v1; the Inference Extension's own picker and its configuration, release 1.2;
llm-d's picker, release 0.7.1, where questions are read apart.
By contract: the objects are held by tests against the extension's API, and the picker's answers are its own matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import ENVOY, GATEWAY, INFERENCE, RBAC, Cluster, group_of
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.disaggregated import is_disaggregated, pool_labels, pool_policies
from plimsoll.targets.kubernetes.manifests.groups import Group
from plimsoll.targets.kubernetes.manifests.llm_inference_service import by_kserve
from plimsoll.targets.kubernetes.manifests.pod import RESTRICTED, RESTRICTED_POD
from plimsoll.telemetry.catalogue import LLM_WAITING

PICKER = "picker"
"""In place of a version, the label of what picks a server."""
IMAGE = "registry.k8s.io/gateway-api-inference-extension/epp:v1.2.0"
_PORT, _HEALTH, _TARGET = 9002, 9003, 8080
_CONFIGURATION = """\
apiVersion: inference.networking.x-k8s.io/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: prefix-cache-scorer
- type: queue-scorer
- type: max-score-picker
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: prefix-cache-scorer
    weight: 3
  - pluginRef: queue-scorer
    weight: 2
  - pluginRef: max-score-picker
"""


_APART_CONFIGURATION = """\
apiVersion: inference.networking.x-k8s.io/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: disagg-headers-handler
- type: always-disagg-pd-decider
- type: disagg-profile-handler
  parameters:
    deciders:
      prefill: always-disagg-pd-decider
- type: prefill-filter
- type: decode-filter
- type: prefix-cache-scorer
- type: active-request-scorer
- type: max-score-picker
schedulingProfiles:
- name: prefill
  plugins:
  - pluginRef: prefill-filter
  - pluginRef: prefix-cache-scorer
    weight: 3
  - pluginRef: active-request-scorer
    weight: 2
  - pluginRef: max-score-picker
- name: decode
  plugins:
  - pluginRef: decode-filter
  - pluginRef: prefix-cache-scorer
    weight: 3
  - pluginRef: active-request-scorer
    weight: 2
  - pluginRef: max-score-picker
"""


class _Picker(Struct, frozen=True, kw_only=True):
    """A picker: its image, its configuration, its options, and what its health goes by."""

    image: str
    configuration: str
    health: str
    options: Mapping[str, str] = {}


_WHOLE = _Picker(
    image=IMAGE,
    configuration=_CONFIGURATION,
    health="inference-extension",
    options={
        "total-queued-requests-metric": LLM_WAITING.name,
        # Our servers have none of these, and an empty name says so.
        "kv-cache-usage-percentage-metric": "",
        "lora-info-metric": "",
        "cache-info-metric": "",
    },
)
_APART = _Picker(
    image="ghcr.io/llm-d/llm-d-inference-scheduler:v0.7.1",
    configuration=_APART_CONFIGURATION,
    health="envoy.service.ext_proc.v3.ExternalProcessor",
)
"""llm-d's, which knows of reading and writing. It counts by itself what is under way, and needs no metrics of ours."""


def _picker(group: Group) -> _Picker:
    return _APART if is_disaggregated(group.served) else _WHOLE


def through_pool(
    found: Sequence[Manifest], groups: Sequence[Group], cluster: Cluster, chosen: Mapping[str, str]
) -> list[Manifest]:
    """The objects of a service, whose route leads to a pool of its servers where that is worth it; else as they are."""
    if not is_pooled(groups, chosen):
        return list(found)
    (group,) = groups
    apart = [*pool_policies(group, cluster, _pod_labels(group))] if is_disaggregated(group.served) else []
    pool = [*_rights(group), _settings(group), _deployment(group, cluster.namespace), _service(group), _pool(group)]
    led = [_led(each, group.name) for each in found]
    # What leads requests comes last.
    route = next(number for number, each in enumerate(led) if each["kind"] == "HTTPRoute")
    return [*led[:route], _policy(group), *apart, *pool, *led[route:]]


def is_pooled(groups: Sequence[Group], chosen: Mapping[str, str]) -> bool:
    """Whether there are several servers of one language model, and the cluster leads to them by what they have read.

    Where questions are read apart, it is the picker that says where.
    """
    served = groups[0].served
    llm, scale = served.file.models[0].llm, served.scale
    several = llm is not None and llm.routing == "prefix" and scale.max > 1 and scale.min == scale.max
    ours = chosen["serving"] == "deployment" or by_kserve(served, chosen)
    return (several or is_disaggregated(served)) and ours and len(groups) == 1 and leads_by_pool(chosen)


def leads_by_pool(chosen: Mapping[str, str]) -> bool:
    """Whether providers lead to servers of language models by a pool and its picker."""
    kept = chosen["serving"] == "deployment" or chosen.get("engines") == "llminferenceservice"
    return kept and chosen["traffic"] == "gateway" and chosen.get("routing") == "inferencepool"


def picker_of(name: str) -> str:
    """What the picker of a pool is called."""
    return f"{name}-{PICKER}"


def _labels(group: Group) -> dict[str, str]:
    """Of the objects of the picker: they go with the service, and are none of its servers."""
    return {**group.labels, names.VERSION: PICKER}


def _pod_labels(group: Group) -> dict[str, str]:
    """Of its pod, which no selector of the service's finds."""
    return {**names.of_application(group.served.application), names.STANDS_BEFORE: picker_of(group.name)}


def _metadata(group: Group) -> Manifest:
    return {"name": picker_of(group.name), "labels": _labels(group)}


def _pool(group: Group) -> Manifest:
    """The pool. Without its picker requests go to any server, where the gateway can do that.

    Engines that only read are in the pool too, and no request is for them: without a picker it is refused.
    """
    apart = is_disaggregated(group.served)
    return {
        "apiVersion": INFERENCE,
        "kind": "InferencePool",
        "metadata": {"name": group.name, "labels": group.labels},
        "spec": {
            "selector": {"matchLabels": pool_labels(group) if apart else group.labels},
            "targetPorts": [{"number": _TARGET}],
            "endpointPickerRef": {
                "group": "",
                "kind": "Service",
                "name": picker_of(group.name),
                "port": {"number": _PORT},
                "failureMode": "FailClose" if apart else "FailOpen",
            },
        },
    }


def _rights(group: Group) -> list[Manifest]:
    """An account that may read pods and pools of the namespace, and nothing else."""
    name, group_name = picker_of(group.name), RBAC.partition("/")[0]
    rules = [
        {"apiGroups": [where], "resources": [what], "verbs": ["get", "list", "watch"]}
        for where, what in (
            ("", "pods"),
            (group_of(INFERENCE), "inferencepools"),
            ("inference.networking.x-k8s.io", "inferenceobjectives"),
            *((("inference.networking.x-k8s.io", "inferencemodelrewrites"),) if is_disaggregated(group.served) else ()),
        )
    ]
    metadata = _metadata(group)
    subject = {"kind": "ServiceAccount", "name": name}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": RBAC, "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": RBAC,
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group_name, "kind": "Role", "name": name},
            "subjects": [subject],
        },
    ]


def _settings(group: Group) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(group),
        "data": {"picker.yaml": _picker(group).configuration},
    }


def _deployment(group: Group, namespace: str) -> Manifest:
    """One picker: what it remembers of beginnings is its own, and two would each know half of it."""
    picker = _picker(group)
    options = {
        "pool-name": group.name,
        "pool-namespace": namespace,
        "config-file": "/plimsoll/picker/picker.yaml",
        **picker.options,
        "metrics-endpoint-auth": "false",
        "tracing": "false",
    }
    ready = {"grpc": {"port": _HEALTH, "service": picker.health}, "periodSeconds": 2}
    container = {
        "name": PICKER,
        "image": picker.image,
        "args": [f"--{name}={value}" for name, value in options.items()],
        "ports": [{"name": "grpc", "containerPort": _PORT, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {**RESTRICTED, "readOnlyRootFilesystem": True},
        "readinessProbe": ready,
        "volumeMounts": [{"name": "settings", "mountPath": "/plimsoll/picker", "readOnly": True}],
    }
    spec: Manifest = {
        "serviceAccountName": picker_of(group.name),
        "enableServiceLinks": False,
        "securityContext": RESTRICTED_POD,
        "containers": [container],
        "volumes": [{"name": "settings", "configMap": {"name": picker_of(group.name)}}],
    }
    labels = _pod_labels(group)
    content = hashlib.sha256(msgspec.json.encode([spec, picker.configuration])).hexdigest()
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**_metadata(group), "annotations": {names.KEY: group.served.key}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": labels, "annotations": {names.CONTENT: content}}, "spec": spec},
        },
    }


def _service(group: Group) -> Manifest:
    port = {"name": "grpc", "port": _PORT, "protocol": "TCP", "targetPort": "grpc", "appProtocol": "http2"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(group),
        "spec": {"selector": _pod_labels(group), "ports": [port]},
    }


def _policy(group: Group) -> Manifest:
    """The gateway asks it, and the kubelet whether it is well."""
    ports = [{"protocol": "TCP", "port": port} for port in (_PORT, _HEALTH)]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(group),
        "spec": {
            "podSelector": {"matchLabels": _pod_labels(group)},
            "policyTypes": ["Ingress"],
            "ingress": [{"ports": ports}],
        },
    }


def _led(found: Manifest, pool: str) -> Manifest:
    """A route that leads to the pool in place of its Service; and a policy that leaves it to the picker who is well."""
    spec = found.get("spec", {})
    if found["apiVersion"] == GATEWAY and found["kind"] == "HTTPRoute":
        rules = [
            {**rule, "backendRefs": [_to_pool(each, pool) for each in rule["backendRefs"]]} for rule in spec["rules"]
        ]
        return {**found, "spec": {**spec, "rules": rules}}
    if found["apiVersion"] == ENVOY:
        return {**found, "spec": {name: value for name, value in spec.items() if name != "healthCheck"}}
    return found


def _to_pool(backend: Manifest, pool: str) -> Manifest:
    """The pool in place of the Service of its servers; what stands by stays as it is."""
    if backend["name"] != pool:
        return backend
    return {"group": group_of(INFERENCE), "kind": "InferencePool", "name": pool, "weight": backend["weight"]}
