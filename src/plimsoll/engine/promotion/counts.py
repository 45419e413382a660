"""Counts of a service's versions from its metrics page."""

from __future__ import annotations

import http.client
import urllib.parse
from collections.abc import Mapping

from msgspec import Struct, field

from plimsoll.engine.promotion.judging import Side
from plimsoll.errors import MissingExtra, RequestError

LIMIT = 30.0
"""Seconds for the page: a service that has scaled to zero may be waking up."""


class VersionCounts(Struct):
    """Counters of one version since its service started; `latencies` are cumulative, by upper bound in seconds."""

    codes: dict[str, float] = field(default_factory=dict)
    latencies: dict[float, float] = field(default_factory=dict)
    labels: float = 0.0
    accuracy: float = 0.0
    there: bool = False


def versions_at(url: str, model: str) -> dict[str, VersionCounts]:
    """The counts of every version of a model. Raises RequestError when the service does not answer."""
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ImportError:
        raise MissingExtra("serve", "plimsoll promote") from None
    found: dict[str, VersionCounts] = {}
    for family in text_string_to_metric_families(_page(url)):
        for sample in family.samples:
            if sample.labels.get("model") != model or "version" not in sample.labels:
                continue
            counts = found.setdefault(sample.labels["version"], VersionCounts())
            _take(counts, sample.name, sample.labels, sample.value)
    return found


def side(now: VersionCounts, before: VersionCounts, metrics: Mapping[str, float]) -> Side:
    """What a version did between two looks."""
    codes = {code: number - before.codes.get(code, 0) for code, number in now.codes.items()}
    cumulative = [number - before.latencies.get(bound, 0) for bound, number in sorted(now.latencies.items())]
    buckets = [int(high - low) for low, high in zip([0, *cumulative], cumulative, strict=False)]
    labelled = int(now.labels - before.labels)
    right = round(now.accuracy * now.labels - before.accuracy * before.labels)
    return Side(
        requests=int(sum(codes.values())),
        failures=int(sum(number for code, number in codes.items() if code != "200")),
        latencies=buckets,
        right=max(0, min(labelled, right)),
        labelled=labelled,
        metrics=metrics,
    )


def _take(counts: VersionCounts, name: str, labels: Mapping[str, str], value: float) -> None:
    match name:
        case "plimsoll_requests_total":
            counts.codes[labels["code"]] = value
        case "plimsoll_request_seconds_bucket":
            counts.latencies[float(labels["le"])] = value
        case "plimsoll_model_info":
            counts.there = value > 0
        case "plimsoll_feedback_labels_total":
            counts.labels = value
        case "plimsoll_feedback_score" if labels.get("score") == "accuracy":
            counts.accuracy = value


def _page(url: str) -> str:
    address = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(address.netloc, timeout=LIMIT)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException) as error:
        raise RequestError(f"the service does not answer: {error}", where=url, hint="see plimsoll status") from error
    finally:
        connection.close()
