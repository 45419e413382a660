"""A service by Deployment and Service, with what belongs to it: a way in, a policy of who may use it, a monitor."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from plimsoll.application.model import Scale
from plimsoll.planning.steps import Share
from plimsoll.runtime.errand import WORK
from plimsoll.runtime.server.service_file import ServiceFile
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.cluster import GATEWAY, Cluster
from plimsoll.targets.kubernetes.manifests.models import with_models
from plimsoll.targets.kubernetes.manifests.monitoring import monitoring
from plimsoll.targets.kubernetes.manifests.pod import (
    RESTRICTED,
    RESTRICTED_POD,
    authorities_volume,
    wanted,
)

Manifest = dict[str, Any]
PORT = 8080
GATEWAY_NAME = "plimsoll"
TOLD = "/plimsoll/service"
UNDER_WAY = "plimsoll_requests_under_way"
"""The server's own count of requests that are not answered yet, per pod."""
DRAIN = 25
"""Seconds that a server has for requests under way when it is told to end."""
WITHDRAWN = 5
"""Seconds between a pod's end being decided and its server being told: until then balancers still send requests."""


class Served(Struct, frozen=True, kw_only=True):
    """What a service serves. `models` are references by the directory in which their files are to be.

    `latency` is the promised 99th percentile in seconds.
    """

    application: str
    service: str
    file: ServiceFile
    models: Mapping[str, str]
    key: str
    share: Share
    image: str
    scale: Scale = Scale()
    latency: float | None = None


def objects(served: Served, cluster: Cluster, traffic: str, metrics: str) -> list[Manifest]:
    """All objects of a service, in the order in which they are applied."""
    name = names.service(served.application, served.service)
    labels = {**names.of_application(served.application), names.SERVICE: served.service}
    told = _told(name, served, labels)
    found = [
        service_account(served.application),
        told,
        _policy(name, labels),
        _service(name, labels),
        deployment(name, served, cluster, labels, told["metadata"]["name"], annotated=metrics == "annotations"),
        _budget(name, labels),
    ]
    if served.scale.max > served.scale.min:
        found.append(autoscaler(name, served.scale, labels, own_metric=cluster.custom_metrics))
    if metrics == "operator":
        found += monitoring(name, served.service, served.file.models[0].name, labels, served.latency)
    if traffic == "gateway":
        found += [gateway(served.application, cluster.gateways[0]), _route(name, served, labels)]
    return found


def service_account(application: str) -> Manifest:
    """An account without any right, and without a token in its pods."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": application, "labels": names.of_application(application)},
        "automountServiceAccountToken": False,
    }


def _told(name: str, served: Served, labels: dict[str, str]) -> Manifest:
    """What the servers read. Its name changes with its content: pods follow a change as they follow a new image."""
    text = msgspec.json.encode(served.file, order="deterministic").decode()
    mark = hashlib.sha256(text.encode()).hexdigest()[:8]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-{mark}", "labels": labels},
        "data": {"service.json": text},
    }


def autoscaler(name: str, scale: Scale, labels: dict[str, str], *, own_metric: bool) -> Manifest:
    """As many servers as requests under way want; by processor time where the cluster has no custom metrics."""
    wanted = {"type": "AverageValue", "averageValue": str(scale.concurrency)}
    own: Manifest = {"type": "Pods", "pods": {"metric": {"name": UNDER_WAY}, "target": wanted}}
    busy = {"type": "Utilization", "averageUtilization": 70}
    processor: Manifest = {"type": "Resource", "resource": {"name": "cpu", "target": busy}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": scale.min,
            "maxReplicas": scale.max,
            "metrics": [own if own_metric else processor],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
        },
    }


def deployment(
    name: str, served: Served, cluster: Cluster, labels: dict[str, str], told: str, *, annotated: bool = False
) -> Manifest:
    """The servers. A new version replaces them one by one, each only once its successor has verified its model."""
    claims, resources = wanted(served.share, cluster)
    pod: Manifest = {
        "metadata": {
            "labels": labels,
            "annotations": {
                names.KEY: served.key,
                **({"prometheus.io/scrape": "true", "prometheus.io/port": str(PORT)} if annotated else {}),
            },
        },
        "spec": {
            "serviceAccountName": served.application,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": DRAIN + WITHDRAWN + 5,
            "securityContext": RESTRICTED_POD,
            "containers": [_server(served, resources)],
            "volumes": [
                {"name": "work", "emptyDir": {}},
                {"name": "tmp", "emptyDir": {}},
                {"name": "told", "configMap": {"name": told}},
                authorities_volume(),
            ],
            "topologySpreadConstraints": [_spread(labels)],
            **claims,
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels, "annotations": {names.KEY: served.key}},
        "spec": {
            # What an autoscaler sets is not ours to set again.
            **({} if served.scale.max > served.scale.min else {"replicas": max(1, served.scale.min)}),
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "progressDeadlineSeconds": 300,
            "template": with_models(pod, served.models, served.image, served.application),
        },
    }


def _server(served: Served, resources: Manifest) -> Manifest:
    """The container that answers."""
    threads = max(1, int(served.share.cores))
    return {
        "name": "server",
        "image": served.image,
        "command": [
            *("python", "-m", "plimsoll.runtime.server", "--service", f"{TOLD}/service.json"),
            *("--host", "0.0.0.0", "--port", str(PORT), "--threads", str(threads), "--drain", str(DRAIN)),  # noqa: S104
        ],
        "ports": [{"name": "http", "containerPort": PORT}],
        "resources": resources,
        "securityContext": {**RESTRICTED, "readOnlyRootFilesystem": True},
        "readinessProbe": {"httpGet": {"path": "/v2/health/ready", "port": "http"}, "periodSeconds": 2},
        "livenessProbe": {
            "httpGet": {"path": "/v2/health/live", "port": "http"},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
        "lifecycle": {"preStop": {"sleep": {"seconds": WITHDRAWN}}},
        "volumeMounts": [
            {"name": "work", "mountPath": WORK},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # in a container
            {"name": "told", "mountPath": TOLD, "readOnly": True},
        ],
    }


def _spread(labels: dict[str, str]) -> Manifest:
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels},
    }


def _service(name: str, labels: dict[str, str]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    }


def _policy(name: str, labels: dict[str, str]) -> Manifest:
    """Only the port of the protocol, which is the one of the metrics too."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "podSelector": {"matchLabels": labels},
            "policyTypes": ["Ingress"],
            "ingress": [{"ports": [{"protocol": "TCP", "port": PORT}]}],
        },
    }


def _budget(name: str, labels: dict[str, str]) -> Manifest:
    """A node that is drained takes one server after the other."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "labels": labels},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}},
    }


def gateway(application: str, class_name: str) -> Manifest:
    """One way in for all services of an application. Source: Gateway API v1."""
    listener = {"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": {"namespaces": {"from": "Same"}}}
    return {
        "apiVersion": GATEWAY,
        "kind": "Gateway",
        "metadata": {"name": f"{application}-{GATEWAY_NAME}", "labels": names.of_application(application)},
        "spec": {"gatewayClassName": class_name, "listeners": [listener]},
    }


def _route(name: str, served: Served, labels: dict[str, str]) -> Manifest:
    """`/SERVICE/v2/…` at the gateway is `/v2/…` of the service."""
    rewrite = {
        "type": "URLRewrite",
        "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
    }
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": f"/{served.service}"}}],
        "filters": [rewrite],
        "backendRefs": [{"name": name, "port": 80}],
    }
    return {
        "apiVersion": GATEWAY,
        "kind": "HTTPRoute",
        "metadata": {"name": name, "labels": labels},
        "spec": {"parentRefs": [{"name": f"{served.application}-{GATEWAY_NAME}"}], "rules": [rule]},
    }
