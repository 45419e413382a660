"""Creates workloads that declare their metrics, each in another way, and one that does not."""

from __future__ import annotations

import re
import secrets

from plimsoll.capabilities.ai_service_metrics.judge import UNDECLARED, WAYS
from plimsoll.capabilities.ai_service_metrics.records import Collected, Followed, MetricsServed, Redrawn, Sample
from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.inventory_records import PrometheusFound
from plimsoll.capabilities.monitoring import (
    MONITORING,
    PATH,
    PORT,
    RANDOM,
    LabelledSample,
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
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.objects import has_condition

_START_LIMIT = 120.0
# The kubelet takes up to a minute and a half to mount Prometheus' new configuration, the operator's reloader up to
# three minutes to see it, and then comes the interval of a scrape.
_COLLECTED_LIMIT = 330.0
_ANOTHER_ROUND = 15.0
# Prometheus scrapes annotated pods at its own interval: a minute by default.
_FOLLOWED_LIMIT = 90.0


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """The probe knows only the Prometheus operator's way of declaring metrics."""
    if first_prometheus(facts):
        return None
    if facts.serves("monitoring.coreos.com"):
        return failed(
            "",
            "the cluster serves the kinds of the Prometheus operator, but has no Prometheus",
            "create a Prometheus object",
        )
    return unknown(
        "there is no Prometheus operator; plimsoll cannot test other ways of declaring metrics yet",
        "install it, or show by hand how a workload's metrics are discovered",
    )


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Serve metrics, declare all but one, each in another way, and ask Prometheus."""
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
        found = _samples(exported_samples(ns, name, series))
        ns.note(MetricsServed(who=name, prometheus=prometheus.name, found=found))
    counter = 0

    def asked() -> bool:
        nonlocal counter
        counter += 1
        return bool(query_prometheus(ns, prometheus, series, f"question-{counter}"))

    ns.wait("a declared series in Prometheus", asked, _COLLECTED_LIMIT)
    # A Prometheus that collects everything has the undeclared one too by then.
    ns.watch_for(_ANOTHER_ROUND, lambda: None)
    found = _collected(ns, prometheus, series, "answer")
    ns.note(Collected(series=series, found=found))
    _change_values(ns, prometheus, series, {each.who for each in found})


def _change_values(ns: ProbeNamespace, prometheus: PrometheusFound, series: str, ways: set[str]) -> None:
    """Have the workloads draw other values, which Prometheus has to collect too."""
    drawn = {name: _drawn(ns, name) for name in WAYS if name in ways}
    ns.note(Redrawn(values=drawn))
    latest: tuple[Sample, ...] = ()
    counter = 0

    def followed() -> bool:
        nonlocal counter, latest
        counter += 1
        latest = _collected(ns, prometheus, series, f"again-{counter}")
        now = {each.who: each.value for each in latest}
        return all(now.get(name) == value for name, value in drawn.items())

    if drawn:
        ns.wait("the other values in Prometheus", followed, _FOLLOWED_LIMIT)
    ns.note(Followed(found=latest))


def _drawn(ns: ProbeNamespace, name: str) -> float | None:
    """Have a workload draw another value. Returns the value; None when the workload does not report one."""
    change = f'value={RANDOM}; sed "s/ [0-9]*$/ $value/" {PATH} > /tmp/next && mv /tmp/next {PATH}; echo drawn $value'
    address = str(ns.get("v1", "Pod", name)["status"].get("podIP", ""))
    text = run_script(ns, f"order-{name}", exporter_request(address, change)) if address else ""
    found = re.search(r"drawn (\d+)", text)
    return float(found[1]) if found else None


def _collected(ns: ProbeNamespace, prometheus: PrometheusFound, series: str, name: str) -> tuple[Sample, ...]:
    return _samples(query_prometheus(ns, prometheus, series, name))


def _samples(found: list[LabelledSample]) -> tuple[Sample, ...]:
    return tuple(
        Sample(who=each.labels.get("who", ""), token=each.labels.get("token", ""), value=each.value) for each in found
    )


def _pod(ns: ProbeNamespace, name: str, series: str) -> Manifest:
    manifest = ns.pod_manifest(name)
    line = f'{series}{{who=\\"{name}\\",token=\\"$token\\"}} $value'
    manifest["spec"]["containers"] = [exporter_container(ns, line, RANDOM)]
    if name == "annotation":
        marks = {"scrape": "true", "port": str(PORT), "path": PATH}
        manifest["metadata"]["annotations"] = {f"prometheus.io/{key}": value for key, value in marks.items()}
    return manifest


def _is_ready(ns: ProbeNamespace, name: str) -> bool:
    return has_condition(ns.get("v1", "Pod", name), "Ready")


def _declare(ns: ProbeNamespace, prometheus: PrometheusFound) -> None:
    for kind, endpoints in (("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")):
        spec = {
            "selector": {"matchLabels": {"app": kind.lower()}},
            endpoints: [{"port": "metrics", "path": PATH, "interval": "5s"}],
        }
        metadata = {"name": kind.lower(), "labels": monitor_labels(prometheus, kind)}
        ns.apply({"apiVersion": MONITORING, "kind": kind, "metadata": metadata, "spec": spec})
