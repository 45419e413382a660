"""How many servers a service has: an autoscaler by what they have under way, and to zero what stands before them.

Sources: autoscaling/v2; KEDA's ScaledObject and its metrics-api scaler.
"""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.kinds.service_settings import Scale
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import KEDA, Cluster
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.groups import Group
from plimsoll.targets.kubernetes.manifests.nodes import on_architectures
from plimsoll.targets.kubernetes.manifests.pod import RESTRICTED, RESTRICTED_POD

UNDER_WAY = "plimsoll_requests_under_way"
"""The server's own count of requests that are not answered yet, per pod."""
ACTIVATOR = "activator"
"""In place of a version, the label of what stands before servers."""
CALM = 60
"""Seconds for which fewer servers, or none, must have been enough."""
_ASKED = 2
"""Seconds between two of KEDA's questions for the load."""
PATIENCE = 150
"""Seconds for which a request waits for a server: a node may have to be started, and an image to be pulled."""


def by_activator(scale: Scale, chosen: Mapping[str, str]) -> bool:
    """Whether requests come by way of an activator."""
    return scale.min == 0 or (scale.max > scale.min and chosen["scale"] == "keda")


def scaling(group: Group, deployment: str, cluster: Cluster, chosen: Mapping[str, str]) -> list[Manifest]:
    """What sets the number of a group's servers; nothing where it stays as it is."""
    scale = group.served.scale
    if by_activator(scale, chosen):
        return [activator(group), scaled_object(group, deployment, cluster.namespace)]
    if scale.max > scale.min:
        return [autoscaler(group, deployment, own_metric=cluster.custom_metrics)]
    return []


def autoscaler(group: Group, deployment: str, *, own_metric: bool) -> Manifest:
    """As many servers as requests under way want; by processor time where the cluster has no custom metrics."""
    scale = group.served.scale
    wanted = {"type": "AverageValue", "averageValue": str(scale.concurrency)}
    own: Manifest = {"type": "Pods", "pods": {"metric": {"name": UNDER_WAY}, "target": wanted}}
    busy = {"type": "Utilization", "averageUtilization": 70}
    processor: Manifest = {"type": "Resource", "resource": {"name": "cpu", "target": busy}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": group.name, "labels": group.labels},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment},
            "minReplicas": scale.min,
            "maxReplicas": scale.max,
            "metrics": [own if own_metric else processor],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": CALM}},
        },
    }


def scaled_object(group: Group, deployment: str, namespace: str) -> Manifest:
    """KEDA sets the number by what the activator says is under way, from zero as soon as there is anything."""
    scale = group.served.scale
    trigger = {
        "type": "metrics-api",
        "metricType": "AverageValue",
        "metadata": {
            "url": f"http://{activator_of(group.name)}.{namespace}.svc/plimsoll/load",
            "valueLocation": "underWay",
            "targetValue": str(scale.concurrency),
            "activationTargetValue": "0",
        },
    }
    behavior = {"scaleDown": {"stabilizationWindowSeconds": CALM}}
    return {
        "apiVersion": KEDA,
        "kind": "ScaledObject",
        "metadata": {"name": group.name, "labels": group.labels},
        "spec": {
            "scaleTargetRef": {"name": deployment},
            "minReplicaCount": scale.min,
            "maxReplicaCount": scale.max,
            "pollingInterval": _ASKED,
            "cooldownPeriod": CALM,
            "triggers": [trigger],
            # KEDA writes the empty modifiers itself when they are left out, as a field of its own.
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior}, "scalingModifiers": {}},
        },
    }


def activator_of(name: str) -> str:
    """What a group's activator is called."""
    return f"{name}-{ACTIVATOR}"


def servers_of(name: str) -> str:
    """The Service of the servers themselves, behind the activator."""
    return f"{name}-servers"


def activator_labels(group: Group) -> dict[str, str]:
    """Of a group's activator alone; drift and logs are asked of servers."""
    return {**group.labels, names.VERSION: ACTIVATOR, names.STANDS_BEFORE: group.name}


def _patient(group: Group) -> list[str]:
    """What lets a language model take its time, also while the activator is replaced."""
    longest = group.served.longest_answer
    return ["--seconds", str(longest + 5), "--drain", str(longest + 1)] if longest else []


def activator(group: Group) -> Manifest:
    """One process that holds requests while there is no server. One, for it is asked for the whole load."""
    labels, port = activator_labels(group), 8080
    annotations = {names.CONTENT: group.served.image.rpartition(":")[2][:63]}
    look = {"periodSeconds": 2, "timeoutSeconds": 5}
    container = {
        "name": ACTIVATOR,
        "image": group.served.image,
        "command": [
            *("python", "-m", "plimsoll.runtime.activator", "--to", f"{servers_of(group.name)}:80"),
            *("--host", "0.0.0.0", "--port", str(port), "--patience", str(PATIENCE)),  # noqa: S104
            *_patient(group),
        ],
        "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {**RESTRICTED, "readOnlyRootFilesystem": True},
        "readinessProbe": {"httpGet": {"path": "/v2/health/ready", "port": "http"}, **look},
        "livenessProbe": {"httpGet": {"path": "/v2/health/live", "port": "http"}, **look, "failureThreshold": 6},
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
    }
    spec: Manifest = {
        "serviceAccountName": group.served.application,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": RESTRICTED_POD,
        "containers": [container],
    }
    if longest := group.served.longest_answer:
        spec["terminationGracePeriodSeconds"] = longest + 10
    template = {
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": on_architectures(spec, group.served.architectures),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": activator_of(group.name),
            "labels": labels,
            "annotations": {names.KEY: group.served.key},
        },
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": template,
        },
    }
