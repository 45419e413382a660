"""The Grafana dashboard of a service, from the catalogue of its metrics. Pure.

Source: Grafana's dashboard JSON model, schema version 39 (Grafana 10 and 11 migrate it to their own version).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from msgspec import Struct

from plimsoll.telemetry.catalogue import (
    ACCURACY_ALARM,
    ASSISTANT_ANSWERS,
    ASSISTANT_SENTENCES,
    ASSISTANT_STAGES,
    CPU,
    DRIFT_ALARM,
    DRIFT_DISTANCE,
    DRIFT_MISSING,
    LABELS,
    LLM_EACH_TOKEN,
    LLM_FIRST_TOKEN,
    LLM_QUEUE,
    LLM_ROUTED,
    LLM_TOKENS,
    LLM_WAITING,
    MEMORY,
    REQUESTS,
    ROWS,
    SCORE,
)

SCHEMA = 39
ROWS_PANEL = "Rows predicted"
GRID_COLUMNS = 24
"""Columns of Grafana's grid."""


class Panel(Struct, frozen=True, kw_only=True):
    """One panel. `queries` are pairs of PromQL and legend; `kind` is Grafana's panel type."""

    title: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 12
    exemplars: bool = False


def panels(model: str, *, llm: bool = False, writer: str = "") -> tuple[Panel, ...]:
    """The panels of a service of one model; with `llm` a language model, with a `writer` an assistant that writes by
    the language model of that name."""
    chosen = f'model="{model}"'
    if llm or writer:
        requests = tuple(each for each in _request_panels(chosen) if each.title != ROWS_PANEL)
        if not writer:
            return (*requests, *_llm_panels(chosen))
        written = f'model="{writer}"'
        return (*requests, *_assistant_panels(chosen), *_llm_panels(written))
    return (*_request_panels(chosen), *_drift_panels(chosen), *_feedback_panels(chosen))


def _request_panels(chosen: str) -> tuple[Panel, ...]:
    by, status = "by (version, le)", "http_response_status_code"
    quantiles = tuple(
        (
            f"histogram_quantile({quantile}, sum {by} (rate({REQUESTS.name}_bucket{{{chosen}}}[$__rate_interval])))",
            f"p{quantile * 100:g} {{{{version}}}}",
        )
        for quantile in (0.5, 0.9, 0.99)
    )
    return (
        Panel(
            title="Requests by version and status",
            unit="reqps",
            queries=(
                (
                    f"sum by (version, {status}) (rate({REQUESTS.name}_count{{{chosen}}}[$__rate_interval]))",
                    "{{version}} {{http_response_status_code}}",
                ),
            ),
        ),
        Panel(title="Latency", unit="s", queries=quantiles, exemplars=True),
        Panel(
            title=ROWS_PANEL,
            unit="short",
            queries=((f"sum by (version) (rate({ROWS.name}{{{chosen}}}[$__rate_interval]))", "{{version}}"),),
        ),
        Panel(title="Memory", unit="bytes", width=6, queries=((MEMORY.name, "{{instance}}"),)),
        Panel(title="Processor", width=6, queries=((f"rate({CPU.name}[$__rate_interval])", "{{instance}}"),)),
    )


def _llm_panels(chosen: str) -> tuple[Panel, ...]:
    def quantiles(name: str) -> tuple[tuple[str, str], ...]:
        rate = f"sum by (version, le) (rate({name}_bucket{{{chosen}}}[$__rate_interval]))"
        return tuple((f"histogram_quantile({q}, {rate})", f"p{q * 100:g} {{{{version}}}}") for q in (0.5, 0.95))

    return (
        Panel(title="Time to first token", unit="s", queries=quantiles(LLM_FIRST_TOKEN.name)),
        Panel(title="Time for each further token", unit="s", queries=quantiles(LLM_EACH_TOKEN.name)),
        Panel(
            title="Tokens by type",
            queries=((f"sum by (type) (rate({LLM_TOKENS.name}{{{chosen}}}[$__rate_interval]))", "{{type}}"),),
        ),
        Panel(title="Waiting for a turn", unit="s", width=6, queries=quantiles(LLM_QUEUE.name)),
        Panel(
            title="Requests that wait",
            width=6,
            queries=((f"sum by (model) ({LLM_WAITING.name}{{{chosen}}})", "waiting"),),
        ),
        Panel(
            title="Requests to replicas, by why",
            unit="reqps",
            queries=((f"sum by (why) (rate({LLM_ROUTED.name}{{{chosen}}}[$__rate_interval]))", "{{why}}"),),
        ),
    )


def _assistant_panels(chosen: str) -> tuple[Panel, ...]:
    def rates(name: str, label: str) -> tuple[tuple[str, str], ...]:
        return ((f"sum by ({label}) (rate({name}{{{chosen}}}[$__rate_interval]))", f"{{{{{label}}}}}"),)

    stages = f"sum by (stage, le) (rate({ASSISTANT_STAGES.name}_bucket{{{chosen}}}[$__rate_interval]))"
    return (
        Panel(title="Answers by outcome", unit="reqps", queries=rates(ASSISTANT_ANSWERS.name, "outcome")),
        Panel(title="Sentences by support", queries=rates(ASSISTANT_SENTENCES.name, "verdict")),
        Panel(
            title="Stages, p95",
            unit="s",
            queries=((f"histogram_quantile(0.95, {stages})", "{{stage}}"),),
        ),
    )


def _drift_panels(chosen: str) -> tuple[Panel, ...]:
    return (
        Panel(
            title="Drift: features with an alarm",
            kind="table",
            queries=((f"max by (version, side, feature) ({DRIFT_ALARM.name}{{{chosen}}}) == 1", ""),),
        ),
        Panel(
            title="Drift: distance from training",
            queries=(
                (
                    f"topk(10, max by (side, feature, statistic) ({DRIFT_DISTANCE.name}{{{chosen}}}))",
                    "{{side}} {{feature}} {{statistic}}",
                ),
            ),
        ),
        Panel(
            title="Drift: missing values",
            unit="percentunit",
            queries=((f"topk(10, max by (side, feature) ({DRIFT_MISSING.name}{{{chosen}}}))", "{{side}} {{feature}}"),),
        ),
    )


def _feedback_panels(chosen: str) -> tuple[Panel, ...]:
    return (
        Panel(
            title="Late labels: scores",
            queries=(
                (f"max by (version, score) ({SCORE.name}{{{chosen}}})", "{{version}} {{score}}"),
                (f"max by (version) ({ACCURACY_ALARM.name}{{{chosen}}})", "{{version}} alarm"),
            ),
        ),
        Panel(
            title="Late labels with a matching prediction",
            queries=((f"sum by (version) (rate({LABELS.name}{{{chosen}}}[$__rate_interval]))", "{{version}}"),),
        ),
    )


def dashboard(service: str, model: str, *, llm: bool = False, writer: str = "") -> dict[str, object]:
    """The dashboard in the structure of a Grafana import. Its user chooses the Prometheus data source on the page."""
    return {
        "uid": hashlib.sha256(f"plimsoll {service}".encode()).hexdigest()[:16],
        "title": f"Plimsoll: {service}",
        "tags": ["plimsoll"],
        "timezone": "browser",
        "schemaVersion": SCHEMA,
        "version": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}]
        },
        "panels": _layout(panels(model, llm=llm, writer=writer)),
    }


def _layout(drawn: Sequence[Panel]) -> list[dict[str, object]]:
    """Place panels side by side until a row is full."""
    placed: list[dict[str, object]] = []
    x = y = 0
    for number, panel in enumerate(drawn, start=1):
        if x + panel.width > GRID_COLUMNS:
            x, y = 0, y + 8
        placed.append(
            {
                "id": number,
                "title": panel.title,
                "type": panel.kind,
                "datasource": {"type": "prometheus", "uid": "${datasource}"},
                "gridPos": {"h": 8, "w": panel.width, "x": x, "y": y},
                "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
                "targets": [_query(panel, place) for place in range(len(panel.queries))],
            }
        )
        x += panel.width
    return placed


def _query(panel: Panel, place: int) -> dict[str, object]:
    expression, legend = panel.queries[place]
    target: dict[str, object] = {
        "refId": chr(ord("A") + place),
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "expr": expression,
        "legendFormat": legend,
        "exemplar": panel.exemplars,
    }
    return target | ({"format": "table", "instant": True} if panel.kind == "table" else {})
