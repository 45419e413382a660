"""Every metric of a service, described once: exposition, alert rules and dashboard take their names from here.

Names follow OpenTelemetry's semantic conventions for HTTP servers and Prometheus' own for processes where these have
one; the others begin with `plimsoll_`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

Kind = Literal["counter", "gauge", "histogram"]
OF_MODEL = ("model", "version")


class Description(Struct, frozen=True, kw_only=True):
    """One metric. `name` is as Prometheus stores it, but for a histogram's `_bucket`, `_sum` and `_count`."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = OF_MODEL

    def counter(self) -> CounterMetricFamily:
        """An empty family of it."""
        return CounterMetricFamily(self.name.removesuffix("_total"), self.help, labels=self.labels)

    def gauge(self) -> GaugeMetricFamily:
        """An empty family of it."""
        return GaugeMetricFamily(self.name, self.help, labels=self.labels)

    def histogram(self) -> HistogramMetricFamily:
        """An empty family of it."""
        return HistogramMetricFamily(self.name, self.help, labels=self.labels)

    @property
    def series(self) -> tuple[str, ...]:
        """The names under which a query finds it."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (self.name,)


REQUESTS = Description(
    name="http_server_request_duration_seconds",
    kind="histogram",
    help="Seconds from the last byte of an inference request to its answer.",
    labels=("model", "version", "http_request_method", "http_route", "http_response_status_code"),
)
ROWS = Description(name="plimsoll_inference_rows_total", kind="counter", help="Rows that were predicted.")
MODEL = Description(
    name="plimsoll_model_served",
    kind="gauge",
    help="1 for each model version that has answered; `digest` says which bytes.",
    labels=("model", "version", "digest"),
)
DRIFT_DISTANCE = Description(
    name="plimsoll_drift_distance",
    kind="gauge",
    help="Distance of a feature from training in the newest window: KS, Jensen-Shannon, largest change of a word.",
    labels=("model", "version", "side", "feature", "statistic"),
)
DRIFT_MISSING = Description(
    name="plimsoll_drift_missing_ratio",
    kind="gauge",
    help="Share of missing values of a feature in the newest window.",
    labels=("model", "version", "side", "feature"),
)
DRIFT_ALARM = Description(
    name="plimsoll_drift_alarm",
    kind="gauge",
    help="1 while a feature is not what it was in training.",
    labels=("model", "version", "side", "feature"),
)
DRIFT_ROWS = Description(name="plimsoll_drift_rows_total", kind="counter", help="Rows compared with training.")
DRIFT_SKIPPED = Description(
    name="plimsoll_drift_rows_skipped_total", kind="counter", help="Rows that were too many or too large to compare."
)
DRIFT_WINDOWS = Description(name="plimsoll_drift_windows_total", kind="counter", help="Windows judged.")
LABELS = Description(name="plimsoll_feedback_labels_total", kind="counter", help="Late labels that found a prediction.")
UNMATCHED = Description(
    name="plimsoll_feedback_unmatched_total", kind="counter", help="Late labels that found no prediction."
)
SCORE = Description(
    name="plimsoll_feedback_score",
    kind="gauge",
    help="Figures of the predictions whose labels have come.",
    labels=("model", "version", "score"),
)
ACCURACY_ALARM = Description(
    name="plimsoll_accuracy_alarm", kind="gauge", help="1 while the newest labels say worse than was promised."
)
MEMORY = Description(
    name="process_resident_memory_bytes", kind="gauge", help="Resident memory size in bytes.", labels=()
)
CPU = Description(
    name="process_cpu_seconds_total", kind="counter", help="Total user and system CPU time spent in seconds.", labels=()
)

SERVICE: Sequence[Description] = (REQUESTS, ROWS, MODEL, MEMORY, CPU)
DRIFT: Sequence[Description] = (DRIFT_DISTANCE, DRIFT_MISSING, DRIFT_ALARM, DRIFT_ROWS, DRIFT_SKIPPED, DRIFT_WINDOWS)
FEEDBACK: Sequence[Description] = (LABELS, UNMATCHED, SCORE, ACCURACY_ALARM)
ALL: Sequence[Description] = (*SERVICE, *DRIFT, *FEEDBACK)
