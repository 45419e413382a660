"""The catalogue of all metrics of a service. Exposition, alert rules and dashboard use its names.

Names follow OpenTelemetry's semantic conventions for HTTP servers and Prometheus' conventions for processes. All other
names begin with `plimsoll_`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    # Whoever plans a service knows its metrics; only a server, which has the library, exposes them.
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

MetricKind = Literal["counter", "gauge", "histogram"]
MODEL_LABELS = ("model", "version")


class MetricDescription(Struct, frozen=True, kw_only=True):
    """One metric. `name` is its name in Prometheus, without `_bucket`, `_sum` and `_count` for a histogram."""

    name: str
    kind: MetricKind
    help: str
    labels: tuple[str, ...] = MODEL_LABELS

    def counter(self) -> CounterMetricFamily:
        """An empty metric family without samples."""
        from prometheus_client.core import CounterMetricFamily

        return CounterMetricFamily(self.name.removesuffix("_total"), self.help, labels=self.labels)

    def gauge(self) -> GaugeMetricFamily:
        """An empty metric family without samples."""
        from prometheus_client.core import GaugeMetricFamily

        return GaugeMetricFamily(self.name, self.help, labels=self.labels)

    def histogram(self) -> HistogramMetricFamily:
        """An empty metric family without samples."""
        from prometheus_client.core import HistogramMetricFamily

        return HistogramMetricFamily(self.name, self.help, labels=self.labels)

    @property
    def series(self) -> tuple[str, ...]:
        """The names of its time series in queries."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (self.name,)


REQUESTS = MetricDescription(
    name="http_server_request_duration_seconds",
    kind="histogram",
    help="Seconds from the last byte of an inference request to its response.",
    labels=("model", "version", "http_request_method", "http_route", "http_response_status_code"),
)
ROWS = MetricDescription(name="plimsoll_inference_rows_total", kind="counter", help="Predicted rows.")
AUDIT_LOST = MetricDescription(
    name="plimsoll_audit_lost_total",
    kind="counter",
    help="Lines of the audit log that a full disk has cost; only with `full: continue`.",
    labels=(),
)
MODEL = MetricDescription(
    name="plimsoll_model_served",
    kind="gauge",
    help="1 for each model version that has sent predictions; `digest` identifies its bytes.",
    labels=("model", "version", "digest"),
)
DRIFT_DISTANCE = MetricDescription(
    name="plimsoll_drift_distance",
    kind="gauge",
    help="Distance of a feature from training in the newest window: KS, Jensen-Shannon, largest change of a word.",
    labels=("model", "version", "side", "feature", "statistic"),
)
DRIFT_MISSING = MetricDescription(
    name="plimsoll_drift_missing_ratio",
    kind="gauge",
    help="Share of missing values of a feature in the newest window.",
    labels=("model", "version", "side", "feature"),
)
DRIFT_ALARM = MetricDescription(
    name="plimsoll_drift_alarm",
    kind="gauge",
    help="1 while a feature differs from training.",
    labels=("model", "version", "side", "feature"),
)
DRIFT_ROWS = MetricDescription(name="plimsoll_drift_rows_total", kind="counter", help="Rows compared with training.")
DRIFT_SKIPPED = MetricDescription(
    name="plimsoll_drift_rows_skipped_total",
    kind="counter",
    help="Rows that were too many or too large to compare with training.",
)
DRIFT_WINDOWS = MetricDescription(
    name="plimsoll_drift_windows_total", kind="counter", help="Windows compared with training."
)
LABELS = MetricDescription(
    name="plimsoll_feedback_labels_total", kind="counter", help="Late labels with a matching prediction."
)
UNMATCHED = MetricDescription(
    name="plimsoll_feedback_unmatched_total", kind="counter", help="Late labels without a matching prediction."
)
SCORE = MetricDescription(
    name="plimsoll_feedback_score",
    kind="gauge",
    help="Scores of the predictions that have labels.",
    labels=("model", "version", "score"),
)
ACCURACY_ALARM = MetricDescription(
    name="plimsoll_accuracy_alarm", kind="gauge", help="1 while the newest labels show a lower accuracy than promised."
)
MEMORY = MetricDescription(
    name="process_resident_memory_bytes", kind="gauge", help="Resident memory size in bytes.", labels=()
)
CPU = MetricDescription(
    name="process_cpu_seconds_total", kind="counter", help="Total user and system CPU time spent in seconds.", labels=()
)

LLM_TOKENS = MetricDescription(
    name="plimsoll_llm_tokens_total",
    kind="counter",
    help="Tokens of questions (input; cached of them) and answers (output).",
    labels=("model", "version", "type"),
)
LLM_QUEUE = MetricDescription(
    name="plimsoll_llm_queue_seconds", kind="histogram", help="Seconds until the turn of a request."
)
LLM_FIRST_TOKEN = MetricDescription(
    name="plimsoll_llm_time_to_first_token_seconds",
    kind="histogram",
    help="Seconds to the first token of a streamed answer.",
)
LLM_EACH_TOKEN = MetricDescription(
    name="plimsoll_llm_time_per_output_token_seconds",
    kind="histogram",
    help="Seconds for each further token of a streamed answer.",
)
LLM_WAITING = MetricDescription(
    name="plimsoll_llm_waiting", kind="gauge", help="Requests whose turn has not come.", labels=("model",)
)
LLM_ROUTED = MetricDescription(
    name="plimsoll_llm_routed_total",
    kind="counter",
    help="Requests to one of several replicas, by why it was that one: prefix, load, new.",
    labels=("model", "version", "why"),
)
ASSISTANT_ANSWERS = MetricDescription(
    name="plimsoll_assistant_answers_total",
    kind="counter",
    help="Answers of an assistant: answered, unsupported, refused.",
    labels=("model", "version", "outcome"),
)
ASSISTANT_SENTENCES = MetricDescription(
    name="plimsoll_assistant_sentences_total",
    kind="counter",
    help="Sentences of answers by whether a passage supports them: supported, unsupported.",
    labels=("model", "version", "verdict"),
)
ASSISTANT_STAGES = MetricDescription(
    name="plimsoll_assistant_stage_seconds",
    kind="histogram",
    help="Seconds of each stage: embed, search, rerank, prompt, first_token, generate, support.",
    labels=("model", "version", "stage"),
)
RESTARTS = MetricDescription(
    name="plimsoll_code_restarts_total",
    kind="counter",
    help="Processes of the user's own code, or of an engine, started again.",
)

SERVICE: Sequence[MetricDescription] = (REQUESTS, ROWS, MODEL, MEMORY, CPU)
DRIFT: Sequence[MetricDescription] = (
    DRIFT_DISTANCE,
    DRIFT_MISSING,
    DRIFT_ALARM,
    DRIFT_ROWS,
    DRIFT_SKIPPED,
    DRIFT_WINDOWS,
)
FEEDBACK: Sequence[MetricDescription] = (LABELS, UNMATCHED, SCORE, ACCURACY_ALARM)
LLM: Sequence[MetricDescription] = (
    LLM_TOKENS,
    LLM_QUEUE,
    LLM_FIRST_TOKEN,
    LLM_EACH_TOKEN,
    LLM_WAITING,
    LLM_ROUTED,
    RESTARTS,
)
"""Those of a service of a language model, which has no drift."""
ASSISTANT: Sequence[MetricDescription] = (ASSISTANT_ANSWERS, ASSISTANT_SENTENCES, ASSISTANT_STAGES)
"""Those of an assistant, beside those of the language model by which it writes."""
ALL: Sequence[MetricDescription] = (*SERVICE, *DRIFT, *FEEDBACK)
