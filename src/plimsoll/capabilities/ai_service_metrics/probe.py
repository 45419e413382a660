"""Workloads that declare their metrics, each in another way, and one that does not."""

from __future__ import annotations

import re
import secrets
from typing import Any

from plimsoll.capabilities.ai_service_metrics.judge import UNDECLARED, WAYS
from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.monitoring import (
    MONITORING,
    PATH,
    PORT,
    RANDOM,
    create_service,
    exported_samples,
    exporter_container,
    exporter_request,
    first_prometheus,
    monitor_labels,
    query_prometheus,
    run_script,
)
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.evidence.verdict import Verdict, failed, unknown
from plimsoll.kubernetes.objects import has_condition

_START_LIMIT = 120.0
# A minute and a half until a kubelet has mounted what Prometheus is to scrape, up to three until the operator's
# reloader has seen it, and the interval of a scrape.
_COLLECTED_LIMIT = 330.0
_ANOTHER_ROUND = 15.0
# Annotations are followed at Prometheus' own pace: a minute, when nothing else is said.
_FOLLOWED_LIMIT = 90.0


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """Only the Prometheus operator's way of declaring can be tried so far."""
    if first_prometheus(facts):
        return None
    if facts.serves("monitoring.coreos.com"):
        return failed(
            "", "the Prometheus operator's kinds are served, but there is no Prometheus", "make a Prometheus object"
        )
    return unknown(
        "there is no Prometheus operator; other ways of declaring metrics cannot be tried yet",
        "install it, or show by hand how a workload's metrics are discovered",
    )


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Serve, declare all but one, each in another way, and ask Prometheus."""
    prometheus = first_prometheus(facts)
    if prometheus is None:
        return
    ns.create()
    series = f"plimsoll_{secrets.token_hex(6)}"
    for name in (*WAYS, UNDECLARED):
        ns.apply(_pod(ns, name, series))
        create_service(ns, name)
    _declare(ns, prometheus)
    ns.wait("the workloads", lambda: all(_is_ready(ns, name) for name in (*WAYS, UNDECLARED)), _START_LIMIT)
    for name in (*WAYS, UNDECLARED):
        ns.note(
            "served", who=name, prometheus=prometheus["name"], found=_of_interest(exported_samples(ns, name, series))
        )
    counter = 0

    def asked() -> bool:
        nonlocal counter
        counter += 1
        return bool(query_prometheus(ns, prometheus, series, f"question-{counter}"))

    ns.wait("a declared series in Prometheus", asked, _COLLECTED_LIMIT)
    # Whoever collects everything would have the other one too by then.
    ns.watch_for(_ANOTHER_ROUND, lambda: None)
    found = _collected(ns, prometheus, series, "answer")
    ns.note("collected", series=series, found=found)
    _again(ns, prometheus, series, {each["who"] for each in found})


def _again(ns: ProbeNamespace, prometheus: dict[str, Any], series: str, ways: set[str]) -> None:
    """Other values, drawn where they are served: what was collected once has to follow."""
    drawn = {name: _drawn(ns, name) for name in WAYS if name in ways}
    ns.note("redrawn", values=drawn)
    latest: list[dict[str, Any]] = []
    counter = 0

    def followed() -> bool:
        nonlocal counter
        counter += 1
        latest[:] = _collected(ns, prometheus, series, f"again-{counter}")
        now = {each["who"]: each["value"] for each in latest}
        return all(now.get(name) == value for name, value in drawn.items())

    if drawn:
        ns.wait("the other values in Prometheus", followed, _FOLLOWED_LIMIT)
    ns.note("followed", found=latest)


def _drawn(ns: ProbeNamespace, name: str) -> float | None:
    """Has a workload serve another value from now on; gives it."""
    change = f'value={RANDOM}; sed "s/ [0-9]*$/ $value/" {PATH} > /tmp/next && mv /tmp/next {PATH}; echo drawn $value'
    address = str(ns.get("v1", "Pod", name)["status"].get("podIP", ""))
    text = run_script(ns, f"order-{name}", exporter_request(address, change)) if address else ""
    found = re.search(r"drawn (\d+)", text)
    return float(found[1]) if found else None


def _collected(ns: ProbeNamespace, prometheus: dict[str, Any], series: str, name: str) -> list[dict[str, Any]]:
    found = query_prometheus(ns, prometheus, series, name)
    return _of_interest([{"labels": each["metric"], "value": float(each["value"][1])} for each in found])


def _of_interest(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"who": each["labels"].get("who", ""), "token": each["labels"].get("token", ""), "value": each["value"]}
        for each in found
    ]


def _pod(ns: ProbeNamespace, name: str, series: str) -> dict[str, object]:
    manifest = ns.pod_manifest(name)
    line = f'{series}{{who=\\"{name}\\",token=\\"$token\\"}} $value'
    manifest["spec"]["containers"] = [exporter_container(ns, line, RANDOM)]
    if name == "annotation":
        marks = {"scrape": "true", "port": str(PORT), "path": PATH}
        manifest["metadata"]["annotations"] = {f"prometheus.io/{key}": value for key, value in marks.items()}
    return manifest


def _is_ready(ns: ProbeNamespace, name: str) -> bool:
    return has_condition(ns.get("v1", "Pod", name), "Ready")


def _declare(ns: ProbeNamespace, prometheus: dict[str, Any]) -> None:
    for kind, endpoints in (("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")):
        spec = {
            "selector": {"matchLabels": {"app": kind.lower()}},
            endpoints: [{"port": "metrics", "path": PATH, "interval": "5s"}],
        }
        metadata = {"name": kind.lower(), "labels": monitor_labels(prometheus, kind)}
        ns.apply({"apiVersion": MONITORING, "kind": kind, "metadata": metadata, "spec": spec})
