"""Prometheus collects declared metrics, which can scale workloads, and no undeclared metrics."""

from __future__ import annotations

import secrets
import time
from typing import Any
from urllib.parse import quote

import pytest

from lab import api
from lab.errors import LabError
from lab.images.names import AGNHOST
from tests.lab.cluster import Manifest, Namespace, until
from tests.lab.conftest import Up

pytestmark = pytest.mark.lab


def exporter(name: str, series: str, value: int) -> Manifest:
    """A container that serves one series. The file name ends in .txt, so that httpd serves it as text."""
    serve = f"mkdir /tmp/w; echo '{series} {value}' > /tmp/w/metrics.txt; exec httpd -f -p 8080 -h /tmp/w"
    return {"name": name, "image": AGNHOST, "command": ["sh", "-c", serve], "ports": [{"containerPort": 8080}]}


def service(namespace: Namespace, name: str) -> None:
    namespace.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"selector": {"app": name}, "ports": [{"name": "web", "port": 80, "targetPort": 8080}]},
        }
    )


def query(expression: str) -> list[dict[str, Any]]:
    path = (
        f"/api/v1/namespaces/monitoring/services/prometheus-operated:9090/proxy/api/v1/query?query={quote(expression)}"
    )
    found: list[dict[str, Any]] = api.request("GET", path)["data"]["result"]
    return found


@pytest.mark.series
def test_a_declared_metric_is_collected_and_an_undeclared_one_is_not(up: Up, namespace: Namespace) -> None:
    up("prometheus")
    word, value = f"lab_{secrets.token_hex(4)}", secrets.randbelow(10**6)
    for name in ("declared", "undeclared"):
        namespace.pod(name, container=exporter("main", f'{word}{{who="{name}"}}', value))
        service(namespace, name)
    namespace.pod("monitored", container=exporter("main", f'{word}{{who="monitored"}}', value + 1))
    namespace.create(
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "ServiceMonitor",
            "metadata": {"name": "declared"},
            "spec": {
                "selector": {"matchLabels": {"app": "declared"}},
                "endpoints": [{"port": "web", "path": "/metrics.txt"}],
            },
        }
    )
    namespace.create(
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PodMonitor",
            "metadata": {"name": "monitored"},
            "spec": {
                "selector": {"matchLabels": {"app": "monitored"}},
                "podMetricsEndpoints": [{"portNumber": 8080, "path": "/metrics.txt"}],
            },
        }
    )
    until(lambda: len(query(word)) >= 2, limit=90, what="the two declared series")
    time.sleep(6)
    found = {each["metric"]["who"]: int(float(each["value"][1])) for each in query(word)}
    assert found == {"declared": value, "monitored": value + 1}


@pytest.mark.series
def test_a_pods_own_metric_scales_it_up_and_down(up: Up, namespace: Namespace) -> None:
    up("custom-metrics")
    word = f"lab_{secrets.token_hex(4)}"
    container = {**exporter("main", word, 10), "resources": {"requests": {"cpu": "10m"}}}
    annotations = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "8080",
        "prometheus.io/path": "/metrics.txt",
    }
    template = {
        "metadata": {"labels": {"app": "scaled"}, "annotations": annotations},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
    }
    deployment = {"replicas": 1, "selector": {"matchLabels": {"app": "scaled"}}, "template": template}
    namespace.create(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "scaled"}, "spec": deployment}
    )
    target = {"type": "AverageValue", "averageValue": "5"}
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    namespace.create(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "scaled"},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"},
                "minReplicas": 1,
                "maxReplicas": 3,
                "metrics": [{"type": "Pods", "pods": {"metric": {"name": word}, "target": target}}],
                "behavior": behavior,
            },
        }
    )
    until(lambda: _replicas(namespace) == 3, limit=120, what="three replicas")
    assert namespace.get("hpa", "scaled")["status"]["currentMetrics"][0]["pods"]["current"]["averageValue"] == "10"
    for pod in [each["metadata"]["name"] for each in namespace.get("pods")]:
        namespace.execute(pod, "sh", "-c", f"echo '{word} 1' > /tmp/w/metrics.txt")
    until(lambda: _replicas(namespace) == 1, limit=120, what="one replica")


def _replicas(namespace: Namespace) -> int:
    return int(namespace.get("deployment", "scaled").get("status", {}).get("readyReplicas", 0))


def test_the_use_of_cpu_is_measured(up: Up, namespace: Namespace) -> None:
    up("metrics-server")
    namespace.pod("busy", container={"command": ["sh", "-c", "while :; do :; done"]})
    namespace.pod("idle")

    def measured() -> dict[str, int] | None:
        try:
            items = api.request("GET", f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace.name}/pods")["items"]
        except LabError:
            return None
        used = {each["metadata"]["name"]: _nanocores(each["containers"][0]["usage"]["cpu"]) for each in items}
        return used if len(used) == 2 and used["busy"] > 100_000_000 else None

    used = until(measured, limit=90, what="the pods' use")
    assert used["idle"] < 50_000_000


def _nanocores(quantity: str) -> int:
    units = {"n": 1, "u": 1_000, "m": 1_000_000}
    return int(quantity[:-1]) * units[quantity[-1]] if quantity[-1] in units else int(quantity) * 1_000_000_000
