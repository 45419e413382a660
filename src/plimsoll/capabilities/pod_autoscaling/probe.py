"""A deployment whose pods hold an accelerator each, and its autoscaler."""

from __future__ import annotations

import secrets
from typing import Any

from plimsoll.capabilities.facts import Accelerators, Facts
from plimsoll.capabilities.monitoring import CONTROL_PORT, MONITORING, PATH, exporter, printed, prometheus_of, selected
from plimsoll.capabilities.stage import Stage
from plimsoll.evidence.verdict import Verdict, failed, unknown

_READ_LIMIT = 240.0
_SCALE_LIMIT = 300.0


def obstacle(facts: Facts) -> Verdict | None:
    """Custom metrics, and two accelerators that a device plugin gives out."""
    if not _place(facts):
        return unknown(
            "no node has two accelerators of a known device plugin", "connect one, or report the hardware that it has"
        )
    if not facts.serves("custom.metrics.k8s.io"):
        return failed(
            "", "no custom metrics are served for the HorizontalPodAutoscaler", "install prometheus-adapter or KEDA"
        )
    if prometheus_of(facts) is None:
        return unknown("there is no Prometheus operator by which a workload could declare its metric")
    return None


def _place(facts: Facts) -> Accelerators | None:
    counts: dict[str, int] = {}
    for each in facts.by_plugin():
        counts[each.resource] = counts.get(each.resource, 0) + each.count
    return next((each for each in facts.by_plugin() if counts[each.resource] > 1), None)


def observe(stage: Stage, facts: Facts) -> None:
    """High, then low."""
    place, prometheus = _place(facts), prometheus_of(facts)
    if place is None or prometheus is None:
        return
    stage.open()
    series, value = f"plimsoll_{secrets.token_hex(6)}", 1000 + secrets.randbelow(9000)
    stage.note("asked", series=series, value=value, resource=place.resource)
    stage.apply(_deployment(stage, series, value, place.resource))
    spec = {
        "selector": {"matchLabels": {"app": "scaled"}},
        "podMetricsEndpoints": [{"port": "metrics", "path": PATH, "interval": "5s"}],
    }
    metadata = {"name": "scaled", "labels": selected(prometheus, "PodMonitor")}
    stage.apply({"apiVersion": MONITORING, "kind": "PodMonitor", "metadata": metadata, "spec": spec})
    stage.wait("one pod with an accelerator", lambda: _ready(stage) == 1, 120)
    stage.note("replicas", ready=_ready(stage), pods=_pods(stage, place.resource))
    # Half of the value for each pod: two are wanted.
    stage.apply(_autoscaler(series, value // 2))
    stage.wait("the autoscaler to read the value", lambda: _read(stage) is not None, _READ_LIMIT)
    stage.note("read", value=_read(stage), conditions=_conditions(stage))
    stage.wait("a second pod", lambda: _ready(stage) == 2, _SCALE_LIMIT)
    stage.note("replicas", ready=_ready(stage), pods=_pods(stage, place.resource))
    _lower(stage, series)
    stage.wait("one pod again", lambda: _ready(stage) == 1, _SCALE_LIMIT)
    stage.note("replicas", ready=_ready(stage), pods=_pods(stage, place.resource))


def _deployment(stage: Stage, series: str, value: int, resource: str) -> dict[str, Any]:
    container = exporter(stage, series, value, resources={"limits": {resource: "1"}})
    pod = stage.pod_manifest("unnamed", tolerations=[{"operator": "Exists"}])["spec"] | {"containers": [container]}
    pod["restartPolicy"] = "Always"
    labels = {"app": "scaled"}
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "scaled"}, "spec": spec}


def _autoscaler(series: str, target: int) -> dict[str, Any]:
    metric = {
        "type": "Pods",
        "pods": {"metric": {"name": series}, "target": {"type": "AverageValue", "averageValue": str(target)}},
    }
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"},
        "minReplicas": 1,
        "maxReplicas": 2,
        "metrics": [metric],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
    }
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "scaled"},
        "spec": spec,
    }


def _lower(stage: Stage, series: str) -> None:
    """Tells every pod to serve one instead, by way of its control port."""
    for number, pod in enumerate(stage.list("v1", "Pod", "app=scaled")):
        address = pod["status"].get("podIP", "")
        order = f"--data-urlencode 'cmd=echo {series} 1 > {PATH}'"
        printed(stage, f"lower-{number}", f"curl -s -m 10 -G {order} http://{address}:{CONTROL_PORT}/shell")


def _ready(stage: Stage) -> int:
    status = stage.get("apps/v1", "Deployment", "scaled").get("status", {})
    return int(status.get("readyReplicas", 0)) if status.get("replicas", 0) == status.get("readyReplicas", 0) else -1


def _pods(stage: Stage, resource: str) -> list[dict[str, Any]]:
    return [
        {
            "name": pod["metadata"]["name"],
            "node": pod["spec"].get("nodeName", ""),
            "phase": pod["status"].get("phase", ""),
            "accelerators": pod["spec"]["containers"][0].get("resources", {}).get("limits", {}).get(resource, "0"),
        }
        for pod in stage.list("v1", "Pod", "app=scaled")
    ]


def _read(stage: Stage) -> str | None:
    found = stage.get("autoscaling/v2", "HorizontalPodAutoscaler", "scaled")
    for each in found.get("status", {}).get("currentMetrics") or []:
        if each.get("type") == "Pods":
            return str(each["pods"]["current"].get("averageValue", ""))
    return None


def _conditions(stage: Stage) -> list[str]:
    found = stage.get("autoscaling/v2", "HorizontalPodAutoscaler", "scaled")
    return [
        f"{each['type']}={each['status']}: {each.get('message', '')}"
        for each in found.get("status", {}).get("conditions", [])
    ]
