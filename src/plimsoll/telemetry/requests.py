"""Requests as a latency histogram with exemplars, for each model, version and status."""

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

BOUNDS = (
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
"""Seconds: those that OpenTelemetry advises for this metric, and three more for small models."""
MOST_STATUSES = 200
"""Series of model, version and status; what comes beyond is counted under the status `other`."""

Key = tuple[str, str, str]


class _Series:
    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0
        self.exemplars: list[Exemplar | None] = [None] * (len(BOUNDS) + 1)


class RequestFigures:
    """Counts of answers. `trace_of` gives the id of the trace that an answer belongs to, or nothing."""

    def __init__(self, trace_of: Callable[[Answer], str]) -> None:
        self._trace_of = trace_of
        self._series: dict[Key, _Series] = {}
        self._rows: dict[tuple[str, str], int] = defaultdict(int)
        self._served: set[Key] = set()
        self._lock = threading.Lock()

    def answered(self, answers: Sequence[Answer]) -> None:
        """Count answers; copies of shadow traffic are none that anybody got."""
        with self._lock:
            for answer in answers:
                if answer.shadow:
                    continue
                series = self._of(answer)
                place = bisect_left(BOUNDS, answer.seconds)
                series.counts[place] += 1
                series.sum += answer.seconds
                trace = self._trace_of(answer)
                if trace:
                    at = answer.began + answer.seconds
                    series.exemplars[place] = Exemplar({"trace_id": trace}, answer.seconds, at)
                if answer.status == 200:
                    self._served.add((answer.model, answer.version, answer.digest))
                    self._rows[answer.model, answer.version] += rows_of(answer)

    def families(self) -> list[Metric]:
        """The metrics of what was counted."""
        requests, rows, served = catalogue.REQUESTS.histogram(), catalogue.ROWS.counter(), catalogue.MODEL.gauge()
        with self._lock:
            for (model, version, status), series in self._series.items():
                route = f"/v2/models/{model}/infer"
                requests.add_metric([model, version, "POST", route, status], _buckets(series), series.sum)
            for (model, version), number in self._rows.items():
                rows.add_metric([model, version], number)
            for key in self._served:
                served.add_metric(list(key), 1.0)
        return [requests, rows, served]

    def close(self) -> None:
        """Nothing is kept open."""

    def _of(self, answer: Answer) -> _Series:
        key = (answer.model, answer.version, str(answer.status))
        if key not in self._series and len(self._series) >= MOST_STATUSES:
            key = (answer.model, answer.version, "other")
        return self._series.setdefault(key, _Series())


def rows_of(answer: Answer) -> int:
    """Rows of a request: the first dimension of its first input."""
    for array in answer.inputs.values():
        return len(array) if array.ndim else 1
    return 0


def _buckets(series: _Series) -> list[tuple[str, float] | tuple[str, float, Exemplar | None]]:
    """Cumulative, as the exposition wants them."""
    found: list[tuple[str, float] | tuple[str, float, Exemplar | None]] = []
    total = 0
    for bound, count, exemplar in zip((*BOUNDS, float("inf")), series.counts, series.exemplars, strict=True):
        total += count
        found.append((floatToGoString(bound), total, exemplar))
    return found
