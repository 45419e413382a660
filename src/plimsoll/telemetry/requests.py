"""The latency histogram of requests with exemplars, for each model, version and status."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence

from prometheus_client.core import Metric
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from plimsoll.runtime.server.observers import Answer
from plimsoll.telemetry import catalogue

BUCKET_BOUNDS = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.0075,
    0.01,
    0.025,
    0.05,
    0.075,
    0.1,
    0.25,
    0.5,
    0.75,
    1.0,
    2.5,
    5.0,
    7.5,
    10.0,
)
"""Seconds: the buckets that OpenTelemetry recommends for this metric, and three more for small models."""
MAX_SERIES = 200
"""Most series of model, version and status. Further statuses count as `other`."""

SeriesKey = tuple[str, str, str]
RoutedKey = tuple[str, str, str, str]


class _LatencySeries:
    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKET_BOUNDS) + 1)
        self.sum = 0.0
        self.exemplars: list[Exemplar | None] = [None] * (len(BUCKET_BOUNDS) + 1)


class RequestMetrics:
    """Counts answers. `trace_of` returns the trace id of an answer, or an empty string."""

    def __init__(self, trace_of: Callable[[Answer], str]) -> None:
        self._trace_of = trace_of
        self._series: dict[RoutedKey, _LatencySeries] = {}
        self._known: dict[tuple[str, str, str, int], _LatencySeries] = {}
        self._rows: dict[tuple[str, str], int] = defaultdict(int)
        self._served: set[SeriesKey] = set()
        self._lock = threading.Lock()

    def answered(self, answers: Sequence[Answer]) -> None:
        """Count answers, except those of shadow traffic, which no client receives."""
        with self._lock:
            for answer in answers:
                if answer.shadow:
                    continue
                series = self._known.get((answer.model, answer.version, answer.digest, answer.status))
                if series is None or answer.generated is not None:
                    series = self._series_of(answer)
                place = bisect_left(BUCKET_BOUNDS, answer.seconds)
                series.counts[place] += 1
                series.sum += answer.seconds
                if answer.headers and (trace := self._trace_of(answer)):
                    at = answer.began + answer.seconds
                    series.exemplars[place] = Exemplar({"trace_id": trace}, answer.seconds, at)
                if answer.status == 200:
                    self._served.add((answer.model, answer.version, answer.digest))
                    self._rows[answer.model, answer.version] += request_rows(answer)

    def families(self) -> list[Metric]:
        """The metric families of the counts."""
        requests, rows, served = catalogue.REQUESTS.histogram(), catalogue.ROWS.counter(), catalogue.MODEL.gauge()
        with self._lock:
            for (model, version, route, status), series in self._series.items():
                requests.add_metric([model, version, "POST", route, status], _buckets(series), series.sum)
            for (model, version), number in self._rows.items():
                rows.add_metric([model, version], number)
            for key in self._served:
                served.add_metric(list(key), 1.0)
        return [requests, rows, served]

    def close(self) -> None:
        """Do nothing: no resource is open."""

    def _series_of(self, answer: Answer) -> _LatencySeries:
        # A model that the server does not have is the client's word: it must not become a series of its own.
        model, version = (answer.model, answer.version) if answer.digest else ("", "")
        route = route_of(answer, model)
        key = (model, version, route, str(answer.status))
        if key not in self._series and len(self._series) >= MAX_SERIES:
            key = (model, version, route, "other")
        series = self._series.setdefault(key, _LatencySeries())
        if answer.digest and answer.generated is None:
            # The names are the server's own, and few.
            self._known[answer.model, answer.version, answer.digest, answer.status] = series
        return series


def route_of(answer: Answer, model: str) -> str:
    """The path of a request, with the name of its model as it is recorded."""
    return answer.generated.route if answer.generated is not None else f"/v2/models/{model}/infer"


def request_rows(answer: Answer) -> int:
    """The number of rows of a request: the first dimension of its first input."""
    for array in answer.inputs.values():
        return len(array) if array.ndim else 1
    return 0


def _buckets(series: _LatencySeries) -> list[tuple[str, float] | tuple[str, float, Exemplar | None]]:
    """Cumulative counts, as the exposition format requires."""
    found: list[tuple[str, float] | tuple[str, float, Exemplar | None]] = []
    total = 0
    for bound, count, exemplar in zip((*BUCKET_BOUNDS, float("inf")), series.counts, series.exemplars, strict=True):
        total += count
        found.append((floatToGoString(bound), total, exemplar))
    return found
