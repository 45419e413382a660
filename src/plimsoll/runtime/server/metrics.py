"""The page that Prometheus reads: requests by code, latencies, requests under way, loaded models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from plimsoll.runtime.server.assistants.metrics import assistant_families
from plimsoll.runtime.server.counts import BUCKETS, Count, Counts, Record
from plimsoll.runtime.server.llms.metrics import llm_families

CONTENT_TYPE = CONTENT_TYPE_LATEST


def page(counts: Counts) -> bytes:
    """The page, in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(_Page(counts))
    return bytes(generate_latest(registry))


class _Page(Collector):  # type: ignore[misc]  # the library's types are not read
    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Any]:
        counts = self._counts.counts
        yield from _families("plimsoll", "inference", [(count, count.records.answers) for count in counts])
        copies = [(count, count.records.copies) for count in counts if count.records.copies.codes]
        if copies:
            yield from _families("plimsoll_shadow", "copies of requests for shadow versions", copies)
        loaded = [count for count in counts if count.loaded]
        under_way = GaugeMetricFamily(
            "plimsoll_requests_under_way", "Requests that have begun and are not answered", labels=["model"]
        )
        for model in dict.fromkeys(count.model for count in loaded):
            under_way.add_metric([model], self._counts.under_way.get(model, 0))
        yield under_way
        restarted = [count for count in counts if count.records.answers.restarts]
        if restarted:
            restarts = CounterMetricFamily(
                "plimsoll_code_restarts",
                "Processes of the user's own code, or of an engine, started again",
                labels=["model", "version"],
            )
            for count in restarted:
                restarts.add_metric([count.model, count.version], count.records.answers.restarts)
            yield restarts
        yield from llm_families(self._counts)
        yield from assistant_families(self._counts)
        info = InfoMetricFamily("plimsoll_model", "Loaded models", labels=["model", "version"])
        for count in loaded:
            info.add_metric([count.model, count.version], {})
        yield info
        lost = CounterMetricFamily("plimsoll_observations_lost", "Observations dropped because observers were too slow")
        lost.add_metric([], self._counts.lost)
        yield lost


def _families(prefix: str, subject: str, records: list[tuple[Count, Record]]) -> Iterator[Any]:
    by = ["model", "version"]
    requests = CounterMetricFamily(f"{prefix}_requests", f"Requests by status: {subject}", labels=[*by, "code"])
    latency = HistogramMetricFamily(f"{prefix}_request_seconds", f"Latency of {subject}", labels=by)
    runs = CounterMetricFamily(f"{prefix}_model_runs", f"Runs of the model: {subject}", labels=by)
    for count, record in records:
        labels = [count.model, count.version]
        for code, number in sorted(record.codes.items()):
            requests.add_metric([*labels, str(code)], number)
        below, buckets = 0, []
        for bound, number in zip((*map(str, BUCKETS), "+Inf"), record.latencies, strict=True):
            below += number
            buckets.append((bound, below))
        latency.add_metric(labels, buckets, record.seconds)
        runs.add_metric(labels, record.runs)
    yield from (requests, latency, runs)
