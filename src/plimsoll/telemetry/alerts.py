"""Alert rules of a service for Prometheus, from the one description of its metrics. Pure.

The shape is that of a Prometheus rule file, and of the `spec` of the Prometheus Operator's PrometheusRule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from plimsoll.telemetry.catalogue import ACCURACY_ALARM, DRIFT_ALARM, DRIFT_SKIPPED, REQUESTS

RUNBOOK = "docs/telemetry.md"


class Alert(Struct, frozen=True, kw_only=True):
    """One rule: `expression` in PromQL, `for_` how long it must hold."""

    name: str
    expression: str
    for_: str
    severity: str
    summary: str
    description: str


def alerts(service: str, model: str, *, p99: float | None = None) -> tuple[Alert, ...]:
    """The rules of a service of one model; `p99` is the promised latency in seconds, when there is one."""
    chosen = f'model="{model}"'
    counted = f"{REQUESTS.name}_count"
    failed = f'{counted}{{{chosen},http_response_status_code=~"5.."}}'
    found = [
        Alert(
            name="PlimsollErrors",
            expression=(
                f"sum by (model, version) (rate({failed}[5m]))"
                f" / sum by (model, version) (rate({counted}{{{chosen}}}[5m])) > 0.01"
            ),
            for_="2m",
            severity="critical",
            summary=f"{service}: {{{{ $value | humanizePercentage }}}} of requests fail",
            description="The service answers with 5xx; its log says why.",
        ),
        Alert(
            name="PlimsollDrift",
            expression=f"max by (model, version, side, feature) ({DRIFT_ALARM.name}{{{chosen}}}) == 1",
            for_="0m",
            severity="warning",
            summary=f"{service}: {{{{ $labels.side }}}} {{{{ $labels.feature }}}} is not what it was in training",
            description="GET /v2/drift of the service says how it has changed and since when.",
        ),
        Alert(
            name="PlimsollAccuracy",
            expression=f"max by (model, version) ({ACCURACY_ALARM.name}{{{chosen}}}) == 1",
            for_="0m",
            severity="critical",
            summary=f"{service}: late labels say that the model does worse than promised",
            description="GET /v2/drift of the service says by how much and since when.",
        ),
        Alert(
            name="PlimsollDriftBlind",
            expression=f"sum by (model, version) (rate({DRIFT_SKIPPED.name}{{{chosen}}}[15m])) > 0",
            for_="15m",
            severity="info",
            summary=f"{service}: rows are too large to be compared with training",
            description="Drift is judged on the rest of the rows.",
        ),
    ]
    if p99 is not None:
        found.append(_slow(service, chosen, p99))
    return tuple(found)


def _slow(service: str, chosen: str, p99: float) -> Alert:
    return Alert(
        name="PlimsollSlow",
        expression=(
            f"histogram_quantile(0.99, sum by (model, version, le) (rate({REQUESTS.name}_bucket{{{chosen}}}[5m])))"
            f" > {p99:g}"
        ),
        for_="5m",
        severity="warning",
        summary=f"{service}: 99 % of answers take up to {{{{ $value | humanizeDuration }}}}",
        description=f"The service promises {p99:g} s.",
    )


def rule_groups(service: str, model: str, *, p99: float | None = None) -> dict[str, Any]:
    """The rules as Prometheus reads them, to be written as YAML."""
    return {
        "groups": [{"name": f"plimsoll-{service}", "rules": [_rule(one) for one in alerts(service, model, p99=p99)]}]
    }


def _rule(alert: Alert) -> Mapping[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.for_,
        "labels": {"severity": alert.severity},
        "annotations": {"summary": alert.summary, "description": alert.description, "runbook": RUNBOOK},
    }
