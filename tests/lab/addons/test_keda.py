"""KEDA scales a workload from zero to three pods and back, by a metric that it polls."""

from __future__ import annotations

import pytest

from lab.images.names import AGNHOST
from tests.lab.cluster import Namespace, until
from tests.lab.conftest import Up

pytestmark = pytest.mark.lab


def test_a_workload_follows_a_figure_from_zero_and_back(up: Up, namespace: Namespace) -> None:
    up("keda", "custom-metrics")
    serve = 'mkdir /tmp/w; echo "{\\"load\\": 0}" > /tmp/w/load.json; exec httpd -f -p 8080 -h /tmp/w'
    namespace.pod("told", labels={"app": "told"}, container={"image": AGNHOST, "command": ["sh", "-c", serve]})
    ports = [{"port": 80, "targetPort": 8080}]
    service = {"selector": {"app": "told"}, "ports": ports}
    namespace.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "told"}, "spec": service})
    pod = {"containers": [{"name": "main", "image": AGNHOST, "args": ["pause"]}], "terminationGracePeriodSeconds": 0}
    template = {"metadata": {"labels": {"app": "work"}}, "spec": pod}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "work"}}, "template": template}
    namespace.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "work"}, "spec": spec})
    metadata = {
        "url": f"http://told.{namespace.name}.svc/load.json",
        "valueLocation": "load",
        "targetValue": "2",
        "activationTargetValue": "0",
    }
    namespace.create(
        {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": {"name": "work"},
            "spec": {
                "scaleTargetRef": {"name": "work"},
                "minReplicaCount": 0,
                "maxReplicaCount": 3,
                "pollingInterval": 1,
                "cooldownPeriod": 2,
                "triggers": [{"type": "metrics-api", "metadata": metadata}],
                "advanced": {
                    "horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}
                },
            },
        }
    )

    def replicas() -> int:
        return int(namespace.get("deployment", "work").get("status", {}).get("readyReplicas", 0))

    def tell(load: int) -> None:
        told = f'echo "{{\\"load\\": {load}}}" > /tmp/w/load.json'
        assert namespace.execute("told", "sh", "-c", told).returncode == 0

    until(lambda: replicas() == 0, limit=90, what="the end of the last pod")
    tell(6)
    until(lambda: replicas() == 3, limit=90, what="three pods")
    tell(0)
    until(lambda: replicas() == 0, limit=120, what="no pod again")
