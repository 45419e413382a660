"""What watches a service: its monitor, alert rules and a dashboard, from the one description of its metrics."""

from __future__ import annotations

import msgspec

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import MONITORING
from plimsoll.targets.kubernetes import names
from plimsoll.telemetry.alerts import rule_groups
from plimsoll.telemetry.dashboard import dashboard

_HAS_VERSION = {"key": names.VERSION, "operator": "Exists"}


def monitoring(
    name: str,
    service: str,
    model: str,
    labels: dict[str, str],
    p99: float | None,
    *,
    apart: bool = False,
    llm: bool = False,
    writer: str = "",
) -> list[Manifest]:
    """Objects of the Prometheus operator, and the dashboard where Grafana's sidecar looks for one.

    With versions `apart`, pods are found by their version's Service, not a second time by the common one.

    `p99` is the promised latency in seconds, `writer` the language model of an assistant. Source:
    monitoring.coreos.com/v1; the label is the default of Grafana's chart.
    """
    return [
        {
            "apiVersion": MONITORING,
            "kind": "ServiceMonitor",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "selector": {"matchLabels": labels, "matchExpressions": [_HAS_VERSION]}
                if apart
                else {"matchLabels": labels},
                "endpoints": [{"port": "http", "path": "/metrics", "interval": "15s"}],
            },
        },
        {
            "apiVersion": MONITORING,
            "kind": "PrometheusRule",
            "metadata": {"name": name, "labels": labels},
            "spec": rule_groups(service, model, p99=p99, llm=llm, writer=writer),
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"{name}-dashboard", "labels": {**labels, "grafana_dashboard": "1"}},
            "data": {f"{name}.json": msgspec.json.encode(dashboard(service, model, llm=llm, writer=writer)).decode()},
        },
    ]
