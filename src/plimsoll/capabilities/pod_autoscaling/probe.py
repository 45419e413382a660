"""A deployment whose pods hold an accelerator each, and its autoscaler."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

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
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.evidence.verdict import Verdict, environment_error, failed, unknown

_START_LIMIT = 120.0
# A minute and a half until a kubelet has mounted what Prometheus is to scrape, up to three until the operator's
# reloader has seen it, and the adapter's and the autoscaler's own rounds.
_READ_LIMIT = 360.0
_SCALE_LIMIT = 180.0
# More than the fifteen seconds after which an autoscaler looks again by default.
_CALM = 16.0
_TARGET = 500
SCALED, TWIN = "scaled", "still"
_GROUP = "plimsoll.dev/group"


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """Custom metrics, and two accelerators that a device plugin gives out."""
    if not _place(facts):
        return unknown(
            "no node has two accelerators of a known device plugin", "connect one, or report the hardware that it has"
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
            "", "no custom metrics are served for the HorizontalPodAutoscaler", "install prometheus-adapter or KEDA"
        )
    if first_prometheus(facts) is None:
        return unknown("there is no Prometheus operator by which a workload could declare its metric")
    return None


def _place(facts: ClusterFacts) -> Accelerators | None:
    counts: dict[str, int] = {}
    for each in facts.by_plugin():
        counts[each.resource] = counts.get(each.resource, 0) + each.count
    return next((each for each in facts.by_plugin() if counts[each.resource] > 1), None)


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Low, high, low again; and a twin beside it that stays low."""
    place, prometheus = _place(facts), first_prometheus(facts)
    if place is None or prometheus is None:
        return
    ns.create()
    series = f"plimsoll_{secrets.token_hex(6)}"
    ns.note("asked", series=series, target=_TARGET, resource=place.resource)
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
    """The most pods of each deployment, and every value that the autoscaler said it read, since it was made."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self.most = self.twin = 0

    def look(self, ns: ProbeNamespace) -> None:
        self.most = max(self.most, _wanted(ns, SCALED))
        self.twin = max(self.twin, _wanted(ns, TWIN))
        value = _read(ns, SCALED)
        if value and value not in self.values:
            self.values.append(value)


def _steps(ns: ProbeNamespace, series: str, resource: str) -> None:
    before = _Watched()

    def both_read() -> bool:
        before.look(ns)
        return bool(before.values and _read(ns, TWIN))

    came = ns.wait("the autoscaler to read the value", both_read, _READ_LIMIT)
    if came:
        # A clock would tick meanwhile.
        ns.watch_for(_CALM, lambda: before.look(ns))
    ns.note("read", step="before", values=before.values, conditions=_conditions(ns))
    _note(ns, "before", resource, before)
    if not came:
        return
    high = _Watched()
    # It may read the value, and act on it, before we have been told what was drawn.
    ns.note("drawn", value=_order(ns, series, f"{RANDOM} % 9000 + 1000", lambda: high.look(ns)))

    def two() -> bool:
        high.look(ns)
        return _ready(ns, SCALED) == 2

    ns.wait("a second pod", two, _SCALE_LIMIT)
    ns.note("read", step="high", values=high.values, conditions=_conditions(ns))
    _note(ns, "high", resource, high)
    _order(ns, series, "1")
    low = _Watched()

    def one() -> bool:
        low.look(ns)
        return _ready(ns, SCALED) == 1

    ns.wait("one pod again", one, _SCALE_LIMIT)
    _note(ns, "low", resource, low)


def _deployment(ns: ProbeNamespace, name: str, series: str, limits: dict[str, str]) -> dict[str, Any]:
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


def _autoscaler(name: str, series: str) -> dict[str, Any]:
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


def _order(
    ns: ProbeNamespace, series: str, expression: str, meanwhile: Callable[[], None] = lambda: None
) -> int | None:
    """Tells every pod what to serve from now on, by way of its control port. Gives what the first one came to."""
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
    ns.note(
        "replicas",
        step=step,
        ready=_ready(ns, SCALED),
        most=watched.most,
        twin=watched.twin,
        pods=_pods(ns, resource),
    )


def _pods(ns: ProbeNamespace, resource: str) -> list[dict[str, Any]]:
    return [
        {
            "name": pod["metadata"]["name"],
            "node": pod["spec"].get("nodeName", ""),
            "phase": pod["status"].get("phase", ""),
            "accelerators": pod["spec"]["containers"][0].get("resources", {}).get("limits", {}).get(resource, "0"),
        }
        for pod in ns.list("v1", "Pod", f"app={SCALED}")
    ]


def _read(ns: ProbeNamespace, name: str) -> str | None:
    found = ns.get("autoscaling/v2", "HorizontalPodAutoscaler", name)
    for each in found.get("status", {}).get("currentMetrics") or []:
        if each.get("type") == "Pods":
            return str(each["pods"]["current"].get("averageValue", ""))
    return None


def _conditions(ns: ProbeNamespace) -> list[str]:
    found = ns.get("autoscaling/v2", "HorizontalPodAutoscaler", SCALED)
    return [
        f"{each['type']}={each['status']}: {each.get('message', '')}"
        for each in found.get("status", {}).get("conditions", [])
    ]
