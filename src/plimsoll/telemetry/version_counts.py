"""Counters of a service's versions, read from the metrics page of one server or of several."""

from __future__ import annotations

import http.client
import urllib.parse
from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from plimsoll.errors import MissingExtra, RequestError
from plimsoll.runtime.client import connection_to, sent_headers

LIMIT = 30.0
"""Seconds for the page: a service that has scaled to zero may be waking up."""


class VersionCounts(Struct):
    """Counters of one version since its server started; `latencies` are cumulative, by upper bound in seconds.

    `loaded` says that a server has the version ready. `accuracy` is of the `labels` labels that have come. `distances`
    are of features from training in the newest window, the largest of each feature's statistics.
    """

    codes: dict[str, float] = field(default_factory=dict)
    latencies: dict[float, float] = field(default_factory=dict)
    labels: float = 0.0
    accuracy: float = 0.0
    distances: dict[str, float] = field(default_factory=dict)
    loaded: bool = False


def counts_at(url: str, model: str, limit: float = LIMIT) -> dict[str, VersionCounts]:
    """The counts of every version of a model. Raises RequestError when the service does not answer within the limit."""
    return counts_in(_page(url, limit), model)


def counts_in(page: str, model: str) -> dict[str, VersionCounts]:
    """The counts of every version of a model on a page in Prometheus' text format. Raises RequestError for another."""
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ImportError:
        raise MissingExtra("serve", "plimsoll promote") from None
    found: dict[str, VersionCounts] = {}
    try:
        samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    except ValueError as error:
        raise RequestError(
            f"the service's page of metrics cannot be read: {error}", hint="see plimsoll logs"
        ) from error
    for sample in samples:
        if sample.labels.get("model") != model or "version" not in sample.labels:
            continue
        counts = found.setdefault(sample.labels["version"], VersionCounts())
        _take(counts, sample.name, sample.labels, sample.value)
    return found


def added(several: Iterable[VersionCounts]) -> VersionCounts:
    """The counts of one version on several servers together; it is loaded when every server has it."""
    total, right, loaded = VersionCounts(), 0.0, []
    for each in several:
        for code, number in each.codes.items():
            total.codes[code] = total.codes.get(code, 0.0) + number
        for bound, number in each.latencies.items():
            total.latencies[bound] = total.latencies.get(bound, 0.0) + number
        total.labels += each.labels
        for feature, distance in each.distances.items():
            total.distances[feature] = max(total.distances.get(feature, 0.0), distance)
        right += each.accuracy * each.labels
        loaded.append(each.loaded)
    total.accuracy = right / total.labels if total.labels else 0.0
    total.loaded = bool(loaded) and all(loaded)
    return total


def latency_bound(latencies: Mapping[float, float], share: float) -> float | None:
    """The bound in seconds within which this share of the answers came; None without answers, infinite above the last.

    `latencies` are cumulative, by upper bound.
    """
    total = max(latencies.values(), default=0.0)
    return next((bound for bound, count in sorted(latencies.items()) if total and count >= share * total), None)


def _take(counts: VersionCounts, name: str, labels: Mapping[str, str], value: float) -> None:
    match name:
        case "plimsoll_requests_total":
            counts.codes[labels["code"]] = value
        case "plimsoll_request_seconds_bucket":
            counts.latencies[float(labels["le"])] = value
        case "plimsoll_model_info":
            counts.loaded = value > 0
        case "plimsoll_feedback_labels_total":
            counts.labels = value
        case "plimsoll_feedback_score" if labels.get("score") == "accuracy":
            counts.accuracy = value
        case "plimsoll_drift_distance":
            feature = labels.get("feature", "")
            counts.distances[feature] = max(counts.distances.get(feature, 0.0), value)


def _page(url: str, limit: float) -> str:
    address = urllib.parse.urlsplit(url)
    connection = connection_to(address, limit)
    try:
        connection.request("GET", "/metrics", headers=sent_headers())
        answer = connection.getresponse()
        page = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise RequestError(f"the service does not answer: {error}", where=url, hint="see plimsoll status") from error
    finally:
        connection.close()
    if answer.status != 200:
        hint = "see plimsoll status"
        raise RequestError(
            f"the service answers {answer.status} when it is asked for its metrics", where=url, hint=hint
        )
    return page
