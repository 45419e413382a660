"""What Prometheus reads: requests by outcome, latencies, requests under way, which model it is."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: from the smallest models to the longest that anybody waits for."""


class Metrics:
    """The server's own registry, so that two servers in one process do not mix."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, model: str, version: str) -> None:
        self._registry = CollectorRegistry()
        requests = Counter("plimsoll_requests", "Requests by status", ["model", "code"], registry=self._registry)
        latency = Histogram(
            "plimsoll_request_seconds", "Latency of inference", ["model"], buckets=BUCKETS, registry=self._registry
        )
        under_way = Gauge("plimsoll_requests_under_way", "Requests not answered", ["model"], registry=self._registry)
        Info("plimsoll_model", "What is served", registry=self._registry).info({"model": model, "version": version})
        self._model = model
        self._requests = requests
        self.latency = latency.labels(model)
        self.under_way = under_way.labels(model)

    def answered(self, status: int) -> None:
        """Count one answer."""
        self._requests.labels(self._model, str(status)).inc()

    def page(self) -> bytes:
        """The exposition text."""
        return bytes(generate_latest(self._registry))
