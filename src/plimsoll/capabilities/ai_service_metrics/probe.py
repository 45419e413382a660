"""Workloads that declare their metrics, each in another way, and one that does not."""

from __future__ import annotations

import re
import secrets
from typing import Any

from plimsoll.capabilities.ai_service_metrics.judge import UNDECLARED, WAYS
from plimsoll.capabilities.facts import Facts
from plimsoll.capabilities.monitoring import (
    MONITORING,
    PATH,
    PORT,
    RANDOM,
    exporter,
    order,
    printed,
    prometheus_of,
    query,
    selected,
    served,
    service,
)
from plimsoll.capabilities.probe_namespace import Stage
from plimsoll.evidence.verdict import Verdict, failed, unknown
from plimsoll.kubernetes.objects import has_condition

_START_LIMIT = 120.0
# A minute and a half until a kubelet has mounted what Prometheus is to scrape, up to three until the operator's
# reloader has seen it, and the interval of a scrape.
_COLLECTED_LIMIT = 330.0
_ANOTHER_ROUND = 15.0
# Annotations are followed at Prometheus' own pace: a minute, when nothing else is said.
_FOLLOWED_LIMIT = 90.0


def obstacle(facts: Facts) -> Verdict | None:
    """Only the Prometheus operator's way of declaring can be tried so far."""
    if prometheus_of(facts):
        return None
    if facts.serves("monitoring.coreos.com"):
        return failed(
            "", "the Prometheus operator's kinds are served, but there is no Prometheus", "make a Prometheus object"
        )
    return unknown(
        "there is no Prometheus operator; other ways of declaring metrics cannot be tried yet",
        "install it, or show by hand how a workload's metrics are discovered",
    )


def observe(stage: Stage, facts: Facts) -> None:
    """Serve, declare all but one, each in another way, and ask Prometheus."""
    prometheus = prometheus_of(facts)
    if prometheus is None:
        return
    stage.open()
    series = f"plimsoll_{secrets.token_hex(6)}"
    for name in (*WAYS, UNDECLARED):
        stage.apply(_pod(stage, name, series))
        service(stage, name)
    _declare(stage, prometheus)
    stage.wait("the workloads", lambda: all(_is_ready(stage, name) for name in (*WAYS, UNDECLARED)), _START_LIMIT)
    for name in (*WAYS, UNDECLARED):
        stage.note("served", who=name, prometheus=prometheus["name"], found=_of_interest(served(stage, name, series)))
    counter = 0

    def asked() -> bool:
        nonlocal counter
        counter += 1
        return bool(query(stage, prometheus, series, f"question-{counter}"))

    stage.wait("a declared series in Prometheus", asked, _COLLECTED_LIMIT)
    # Whoever collects everything would have the other one too by then.
    stage.hold(_ANOTHER_ROUND, lambda: None)
    found = _collected(stage, prometheus, series, "answer")
    stage.note("collected", series=series, found=found)
    _again(stage, prometheus, series, {each["who"] for each in found})


def _again(stage: Stage, prometheus: dict[str, Any], series: str, ways: set[str]) -> None:
    """Other values, drawn where they are served: what was collected once has to follow."""
    drawn = {name: _drawn(stage, name) for name in WAYS if name in ways}
    stage.note("redrawn", values=drawn)
    latest: list[dict[str, Any]] = []
    counter = 0

    def followed() -> bool:
        nonlocal counter
        counter += 1
        latest[:] = _collected(stage, prometheus, series, f"again-{counter}")
        now = {each["who"]: each["value"] for each in latest}
        return all(now.get(name) == value for name, value in drawn.items())

    if drawn:
        stage.wait("the other values in Prometheus", followed, _FOLLOWED_LIMIT)
    stage.note("followed", found=latest)


def _drawn(stage: Stage, name: str) -> float | None:
    """Has a workload serve another value from now on; gives it."""
    change = f'value={RANDOM}; sed "s/ [0-9]*$/ $value/" {PATH} > /tmp/next && mv /tmp/next {PATH}; echo drawn $value'
    address = str(stage.get("v1", "Pod", name)["status"].get("podIP", ""))
    text = printed(stage, f"order-{name}", order(address, change)) if address else ""
    found = re.search(r"drawn (\d+)", text)
    return float(found[1]) if found else None


def _collected(stage: Stage, prometheus: dict[str, Any], series: str, name: str) -> list[dict[str, Any]]:
    found = query(stage, prometheus, series, name)
    return _of_interest([{"labels": each["metric"], "value": float(each["value"][1])} for each in found])


def _of_interest(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"who": each["labels"].get("who", ""), "token": each["labels"].get("token", ""), "value": each["value"]}
        for each in found
    ]


def _pod(stage: Stage, name: str, series: str) -> dict[str, object]:
    manifest = stage.pod_manifest(name)
    line = f'{series}{{who=\\"{name}\\",token=\\"$token\\"}} $value'
    manifest["spec"]["containers"] = [exporter(stage, line, RANDOM)]
    if name == "annotation":
        marks = {"scrape": "true", "port": str(PORT), "path": PATH}
        manifest["metadata"]["annotations"] = {f"prometheus.io/{key}": value for key, value in marks.items()}
    return manifest


def _is_ready(stage: Stage, name: str) -> bool:
    return has_condition(stage.get("v1", "Pod", name), "Ready")


def _declare(stage: Stage, prometheus: dict[str, Any]) -> None:
    for kind, endpoints in (("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")):
        spec = {
            "selector": {"matchLabels": {"app": kind.lower()}},
            endpoints: [{"port": "metrics", "path": PATH, "interval": "5s"}],
        }
        metadata = {"name": kind.lower(), "labels": selected(prometheus, kind)}
        stage.apply({"apiVersion": MONITORING, "kind": kind, "metadata": metadata, "spec": spec})
