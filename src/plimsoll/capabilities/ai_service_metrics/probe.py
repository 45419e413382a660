"""A declared workload and an undeclared one."""

from __future__ import annotations

import secrets

from plimsoll.capabilities.facts import Facts
from plimsoll.capabilities.monitoring import MONITORING, PATH, exporter, prometheus_of, query, selected, service
from plimsoll.capabilities.stage import Stage
from plimsoll.evidence.verdict import Verdict, failed, unknown

_COLLECTED_LIMIT = 240.0
_ANOTHER_ROUND = 15.0


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
    """Serve, declare one, and ask Prometheus."""
    prometheus = prometheus_of(facts)
    if prometheus is None:
        return
    stage.open()
    series, value = f"plimsoll_{secrets.token_hex(6)}", secrets.randbelow(10**9)
    stage.note("served", series=series, value=value, prometheus=prometheus["name"])
    for name in ("declared", "undeclared"):
        stage.apply(_pod(stage, name, f'{series}{{who="{name}"}}', value))
        service(stage, name)
    _declare(stage, prometheus)
    counter = 0

    def asked() -> bool:
        nonlocal counter
        counter += 1
        return bool(query(stage, prometheus, series, f"question-{counter}"))

    stage.wait("the declared series in Prometheus", asked, _COLLECTED_LIMIT)
    # Whoever collects everything would have the other one too by then.
    stage.hold(_ANOTHER_ROUND, lambda: None)
    found = query(stage, prometheus, series, "answer")
    kept = [
        {"who": each["metric"].get("who", ""), "value": each["value"][1], "labels": sorted(each["metric"])}
        for each in found
    ]
    stage.note("collected", series=series, found=kept)


def _pod(stage: Stage, name: str, series: str, value: int) -> dict[str, object]:
    manifest = stage.pod_manifest(name)
    manifest["spec"]["containers"] = [exporter(stage, series, value)]
    return manifest


def _declare(stage: Stage, prometheus: dict[str, object]) -> None:
    spec = {
        "selector": {"matchLabels": {"app": "declared"}},
        "endpoints": [{"port": "metrics", "path": PATH, "interval": "5s"}],
    }
    metadata = {"name": "declared", "labels": selected(prometheus, "ServiceMonitor")}
    stage.apply({"apiVersion": MONITORING, "kind": "ServiceMonitor", "metadata": metadata, "spec": spec})
