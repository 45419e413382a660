"""Scales a deployment whose pods hold an accelerator each by a metric of its pods."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

from plimsoll.capabilities.facts import Accelerators, ClusterFacts
from plimsoll.capabilities.monitoring import (
    MONITORING,
    PATH,
    RANDOM,
    exporter_container,
    exporter_request,
    first_prometheus,
    monitor_labels,
    run_script,
)
from plimsoll.capabilities.pod_autoscaling.records import MetricRead, Replicas, ScaledPod, ScalingAsked, ValueDrawn
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.evidence.verdict import Verdict, environment_error, failed, unknown
from plimsoll.kubernetes.api import Manifest

_START_LIMIT = 120.0
# The kubelet takes up to a minute and a half to mount Prometheus' new configuration, the operator's reloader up to
# three minutes to see it, and then come the intervals of the adapter and the autoscaler.
_READ_LIMIT = 360.0
_SCALE_LIMIT = 180.0
# More than the default interval of an autoscaler, fifteen seconds.
_CALM = 16.0
_TARGET = 500
SCALED, TWIN = "scaled", "still"
_GROUP = "plimsoll.dev/group"


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """The probe needs custom metrics, and two free accelerators of a device plugin."""
    if not _place(facts):
        return unknown(
            "the cluster has no two accelerators of a known device plugin",
            "connect them, or report the hardware of the nodes",
        )
    free = {each.resource: 0 for each in facts.by_plugin()}
    for each in facts.by_plugin():
        free[each.resource] += facts.free(each)
    if max(free.values()) < 2:
        return environment_error(
            f"no two accelerators are free: {', '.join(f'{count} of {name}' for name, count in free.items())}",
            "end pods that hold them, or add a node",
        )
    if not facts.serves("custom.metrics.k8s.io"):
        return failed(
            "",
            "the cluster serves no custom metrics for the HorizontalPodAutoscaler",
            "install prometheus-adapter or KEDA",
        )
    if first_prometheus(facts) is None:
        return unknown("there is no Prometheus operator for a workload to declare its metric to")
    return None


def _place(facts: ClusterFacts) -> Accelerators | None:
    counts: dict[str, int] = {}
    for each in facts.by_plugin():
        counts[each.resource] = counts.get(each.resource, 0) + each.count
    return next((each for each in facts.by_plugin() if counts[each.resource] > 1), None)


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Serve a low value, a high one and a low one again, beside a twin that stays low."""
    place, prometheus = _place(facts), first_prometheus(facts)
    if place is None or prometheus is None:
        return
    ns.create()
    series = f"plimsoll_{secrets.token_hex(6)}"
    ns.note(ScalingAsked(series=series, target=_TARGET, resource=place.resource))
    for name, limits in ((SCALED, {place.resource: "1"}), (TWIN, {})):
        ns.apply(_deployment(ns, name, series, limits))
        ns.apply(_autoscaler(name, series))
    spec = {
        "selector": {"matchLabels": {_GROUP: "scaling"}},
        "podMetricsEndpoints": [{"port": "metrics", "path": PATH, "interval": "5s"}],
    }
    metadata = {"name": SCALED, "labels": monitor_labels(prometheus, "PodMonitor")}
    ns.apply({"apiVersion": MONITORING, "kind": "PodMonitor", "metadata": metadata, "spec": spec})
    if not ns.wait("one pod with an accelerator", lambda: _ready(ns, SCALED) == 1, _START_LIMIT):
        _note(ns, "started", place.resource, _Watched())
        return
    _note(ns, "started", place.resource, _Watched())
    _steps(ns, series, place.resource)


class _Watched:
    """The most replicas of each deployment, and every value that the autoscaler reported, since it was created."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self.most = self.twin = 0

    def look(self, ns: ProbeNamespace) -> None:
        self.most = max(self.most, _wanted(ns, SCALED))
        self.twin = max(self.twin, _wanted(ns, TWIN))
        value = _reported_value(ns, SCALED)
        if value and value not in self.values:
            self.values.append(value)


def _steps(ns: ProbeNamespace, series: str, resource: str) -> None:
    before = _Watched()

    def both_read() -> bool:
        before.look(ns)
        return bool(before.values and _reported_value(ns, TWIN))

    has_read = ns.wait("the autoscaler to read the value", both_read, _READ_LIMIT)
    if has_read:
        # Something that scales by time would do it now.
        ns.watch_for(_CALM, lambda: before.look(ns))
    ns.note(MetricRead(step="before", values=tuple(before.values), conditions=_conditions(ns)))
    _note(ns, "before", resource, before)
    if not has_read:
        return
    high = _Watched()
    # The autoscaler may read the value, and act on it, before the probe learns what was drawn.
    value = _set_value(ns, series, f"{RANDOM} % 9000 + 1000", lambda: high.look(ns))
    ns.note(ValueDrawn(value=value))

    def two() -> bool:
        high.look(ns)
        return _ready(ns, SCALED) == 2

    ns.wait("a second pod", two, _SCALE_LIMIT)
    ns.note(MetricRead(step="high", values=tuple(high.values), conditions=_conditions(ns)))
    _note(ns, "high", resource, high)
    _set_value(ns, series, "1")
    low = _Watched()

    def one() -> bool:
        low.look(ns)
        return _ready(ns, SCALED) == 1

    ns.wait("one pod again", one, _SCALE_LIMIT)
    _note(ns, "low", resource, low)


def _deployment(ns: ProbeNamespace, name: str, series: str, limits: dict[str, str]) -> Manifest:
    container = exporter_container(ns, f"{series} $value", "1", resources={"limits": limits})
    pod = ns.pod_manifest("unnamed", tolerations=[{"operator": "Exists"}])["spec"] | {"containers": [container]}
    pod["restartPolicy"] = "Always"
    labels = {"app": name, _GROUP: "scaling"}
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def _autoscaler(name: str, series: str) -> Manifest:
    metric = {
        "type": "Pods",
        "pods": {"metric": {"name": series}, "target": {"type": "AverageValue", "averageValue": str(_TARGET)}},
    }
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "minReplicas": 1,
        "maxReplicas": 2,
        "metrics": [metric],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
    }
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": spec,
    }


def _set_value(
    ns: ProbeNamespace, series: str, expression: str, meanwhile: Callable[[], None] = lambda: None
) -> int | None:
    """Change the value that every pod serves, by its control port. Returns the value of the first; None for none."""
    command = f'value=$(({expression})); echo "{series} $value" > {PATH}; echo drawn $value'
    asks = [
        exporter_request(pod["status"]["podIP"], command)
        for pod in ns.list("v1", "Pod", f"app={SCALED}")
        if pod["status"].get("podIP")
    ]
    text = run_script(ns, f"order-{secrets.token_hex(3)}", "\n".join(asks), meanwhile=meanwhile)
    found = re.search(r"drawn (\d+)", text)
    return int(found[1]) if found else None


def _wanted(ns: ProbeNamespace, name: str) -> int:
    return int(ns.get("apps/v1", "Deployment", name)["spec"].get("replicas", 0))


def _ready(ns: ProbeNamespace, name: str) -> int:
    status = ns.get("apps/v1", "Deployment", name).get("status", {})
    return int(status.get("readyReplicas", 0)) if status.get("replicas", 0) == status.get("readyReplicas", 0) else -1


def _note(ns: ProbeNamespace, step: str, resource: str, watched: _Watched) -> None:
    watched.look(ns)
    pods = _pods(ns, resource)
    ns.note(Replicas(step=step, ready=_ready(ns, SCALED), most=watched.most, twin=watched.twin, pods=pods))


def _pods(ns: ProbeNamespace, resource: str) -> tuple[ScaledPod, ...]:
    return tuple(
        ScaledPod(
            name=pod["metadata"]["name"],
            node=pod["spec"].get("nodeName", ""),
            phase=pod["status"].get("phase", ""),
            accelerators=pod["spec"]["containers"][0].get("resources", {}).get("limits", {}).get(resource, "0"),
        )
        for pod in ns.list("v1", "Pod", f"app={SCALED}")
    )


def _reported_value(ns: ProbeNamespace, name: str) -> str | None:
    found = ns.get("autoscaling/v2", "HorizontalPodAutoscaler", name)
    for each in found.get("status", {}).get("currentMetrics") or []:
        if each.get("type") == "Pods":
            return str(each["pods"]["current"].get("averageValue", ""))
    return None


def _conditions(ns: ProbeNamespace) -> tuple[str, ...]:
    found = ns.get("autoscaling/v2", "HorizontalPodAutoscaler", SCALED)
    return tuple(
        f"{each['type']}={each['status']}: {each.get('message', '')}"
        for each in found.get("status", {}).get("conditions", [])
    )
