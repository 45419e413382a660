"""Prometheus alert rules of a service, from the catalogue of its metrics. Pure.

The result is a Prometheus rule file, and the `spec` of a PrometheusRule of the Prometheus Operator.
"""

from __future__ import annotations

from typing import TypedDict

from msgspec import Struct

from plimsoll.telemetry.catalogue import (
    ACCURACY_ALARM,
    ASSISTANT_ANSWERS,
    ASSISTANT_SENTENCES,
    ASSISTANT_STAGES,
    DRIFT_ALARM,
    DRIFT_SKIPPED,
    LLM_FIRST_TOKEN,
    LLM_QUEUE,
    REQUESTS,
    RESTARTS,
)

RUNBOOK = "docs/runbook.md"
"""The page with a section for each rule, under the rule's name."""

FIRST_TOKEN_LIMIT = 5.0
"""Seconds to the first token that people wait without a thought of leaving."""
UNSUPPORTED_LIMIT, REFUSED_LIMIT = 0.2, 0.5
"""Shares of sentences without support, and of refused questions, that are more than some odd questions."""
SEARCH_LIMIT = 0.25
"""Seconds of any stage before the language model."""


class Alert(Struct, frozen=True, kw_only=True):
    """One alert rule. `expression` is PromQL; `for_` is how long it must be true."""

    name: str
    expression: str
    for_: str
    severity: str
    summary: str
    description: str


# Functional form, because `for` is a keyword of Python.
Rule = TypedDict(
    "Rule", {"alert": str, "expr": str, "for": str, "labels": dict[str, str], "annotations": dict[str, str]}
)


class RuleGroup(TypedDict):
    """A group of rules in a Prometheus rule file."""

    name: str
    rules: list[Rule]


class RuleGroups(TypedDict):
    """A Prometheus rule file."""

    groups: list[RuleGroup]


def alerts(
    service: str, model: str, *, p99: float | None = None, llm: bool = False, writer: str = ""
) -> tuple[Alert, ...]:
    """The rules of a service of one model. `p99` is the promised latency in seconds, if there is one.

    With `llm` it is a language model, with a `writer` an assistant that writes by the language model of that name.
    """
    chosen = f'model="{model}"'
    counted = f"{REQUESTS.name}_count"
    failed = f'{counted}{{{chosen},http_response_status_code=~"5.."}}'
    errors = Alert(
        name="PlimsollErrors",
        expression=(
            f"sum by (model, version) (rate({failed}[5m]))"
            f" / sum by (model, version) (rate({counted}{{{chosen}}}[5m])) > 0.01"
        ),
        for_="2m",
        severity="critical",
        summary=f"{service}: {{{{ $value | humanizePercentage }}}} of requests fail",
        description="The service answers with 5xx. Its log has the reasons.",
    )
    if writer:
        return (errors, *assistant_alerts(service, chosen), *llm_alerts(service, f'model="{writer}"'))
    if llm:
        return (errors, *llm_alerts(service, chosen))
    found = [
        errors,
        Alert(
            name="PlimsollDrift",
            expression=f"max by (model, version, side, feature) ({DRIFT_ALARM.name}{{{chosen}}}) == 1",
            for_="0m",
            severity="warning",
            summary=f"{service}: {{{{ $labels.side }}}} {{{{ $labels.feature }}}} differs from training",
            description="GET /v2/drift of the service shows how it changed, and since when.",
        ),
        Alert(
            name="PlimsollAccuracy",
            expression=f"max by (model, version) ({ACCURACY_ALARM.name}{{{chosen}}}) == 1",
            for_="0m",
            severity="critical",
            summary=f"{service}: late labels show a lower accuracy than promised",
            description="GET /v2/drift of the service shows by how much, and since when.",
        ),
        Alert(
            name="PlimsollDriftBlind",
            expression=f"sum by (model, version) (rate({DRIFT_SKIPPED.name}{{{chosen}}}[15m])) > 0",
            for_="15m",
            severity="info",
            summary=f"{service}: rows are too large to compare with training",
            description="Only the other rows count for drift.",
        ),
    ]
    if p99 is not None:
        found.append(_latency_alert(service, chosen, p99))
    return tuple(found)


def _latency_alert(service: str, chosen: str, p99: float) -> Alert:
    return Alert(
        name="PlimsollSlow",
        expression=(
            f"histogram_quantile(0.99, sum by (model, version, le) (rate({REQUESTS.name}_bucket{{{chosen}}}[5m])))"
            f" > {p99:g}"
        ),
        for_="5m",
        severity="warning",
        summary=f"{service}: 99 % of responses take up to {{{{ $value | humanizeDuration }}}}",
        description=f"The service promises {p99:g} s.",
    )


def llm_alerts(service: str, chosen: str) -> tuple[Alert, ...]:
    """The rules that a language model has besides. `chosen` are the labels of its series."""
    refused = f'{REQUESTS.name}_count{{{chosen},http_response_status_code="429"}}'
    slow = f"sum by (model, version, le) (rate({LLM_FIRST_TOKEN.name}_bucket{{{chosen}}}[5m]))"
    return (
        Alert(
            name="PlimsollQueueFull",
            expression=f"sum by (model) (rate({refused}[5m])) > 0",
            for_="2m",
            severity="warning",
            summary=f"{service}: requests are refused, as too many wait",
            description="It needs more slots, more servers, or shorter answers.",
        ),
        Alert(
            name="PlimsollFirstToken",
            expression=f"histogram_quantile(0.95, {slow}) > {FIRST_TOKEN_LIMIT:g}",
            for_="5m",
            severity="warning",
            summary=f"{service}: 1 answer in 20 begins only after {{{{ $value | humanizeDuration }}}}",
            description=f"{LLM_QUEUE.name} says how much of that is waiting for a turn.",
        ),
        Alert(
            name="PlimsollEngineRestarts",
            expression=f"sum by (model) (increase({RESTARTS.name}{{{chosen}}}[15m])) > 2",
            for_="0m",
            severity="critical",
            summary=f"{service}: its engine ends again and again",
            description="The service's log says how; mostly the memory is too small for the context and the slots.",
        ),
    )


def assistant_alerts(service: str, chosen: str) -> tuple[Alert, ...]:
    """The rules that an assistant has besides. `chosen` are the labels of its series."""

    def share(name: str, labels: str) -> str:
        part = f"sum by (model) (increase({name}{{{chosen},{labels}}}[30m]))"
        return f"{part} / sum by (model) (increase({name}{{{chosen}}}[30m]))"

    unsupported = share(ASSISTANT_SENTENCES.name, 'verdict="unsupported"')
    refused = share(ASSISTANT_ANSWERS.name, 'outcome="refused"')
    stages = f'{ASSISTANT_STAGES.name}_bucket{{{chosen},stage=~"embed|search|rerank|prompt"}}'
    return (
        Alert(
            name="PlimsollUnsupported",
            expression=f"{unsupported} > {UNSUPPORTED_LIMIT:g}",
            for_="15m",
            severity="warning",
            summary=f"{service}: {{{{ $value | humanizePercentage }}}} of the sentences stand on no passage",
            description="The language model writes beside its passages, or the passages are not those of the question.",
        ),
        Alert(
            name="PlimsollRefusals",
            expression=f"{refused} > {REFUSED_LIMIT:g}",
            for_="15m",
            severity="warning",
            summary=f"{service}: {{{{ $value | humanizePercentage }}}} of the questions are refused",
            description="The documents do not have what is asked for, or the index does not find it.",
        ),
        Alert(
            name="PlimsollSearchSlow",
            expression=(f"histogram_quantile(0.99, sum by (model, stage, le) (rate({stages}[5m]))) > {SEARCH_LIMIT:g}"),
            for_="5m",
            severity="warning",
            summary=f"{service}: {{{{ $labels.stage }}}} takes up to {{{{ $value | humanizeDuration }}}}",
            description="That is before the language model is asked.",
        ),
    )


def rule_groups(
    service: str, model: str, *, p99: float | None = None, llm: bool = False, writer: str = ""
) -> RuleGroups:
    """The rules in the structure of a Prometheus rule file, which is YAML."""
    rules = [_prometheus_rule(one) for one in alerts(service, model, p99=p99, llm=llm, writer=writer)]
    return {"groups": [{"name": f"plimsoll-{service}", "rules": rules}]}


def _prometheus_rule(alert: Alert) -> Rule:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.for_,
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook": f"{RUNBOOK}#{alert.name.lower()}",
        },
    }
