"""Requests as OpenTelemetry spans, children of the caller's by W3C Trace Context. Needs the extra `otel`.

Where spans go and how many of them is said by OpenTelemetry's own variables (`OTEL_EXPORTER_OTLP_ENDPOINT`,
`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER`, `OTEL_SERVICE_NAME`, …).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plimsoll.errors import MissingExtra
from plimsoll.runtime.server.observers import Answer
from plimsoll.telemetry.context import parse
from plimsoll.telemetry.requests import rows_of

NANOSECONDS = 1e9


class Traces:
    """Gives spans to an exporter. `exporter` is OpenTelemetry's; without it OTLP over HTTP."""

    def __init__(self, service: str, exporter: Any = None) -> None:
        """Raises MissingExtra without OpenTelemetry."""
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            raise MissingExtra("otel", "tracing") from None
        named = Resource.create({"service.name": service} if service else {})
        self._provider = TracerProvider(resource=named)
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("plimsoll")

    def answered(self, answers: Sequence[Answer]) -> None:
        """One span for each answer, with the times that the server measured."""
        for answer in answers:
            self._span(answer)

    def close(self) -> None:
        """Send what waits."""
        self._provider.shutdown()

    def _span(self, answer: Answer) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode

        began = int(answer.began * NANOSECONDS)
        route = f"/v2/models/{answer.model}/infer"
        span = self._tracer.start_span(
            f"POST {route}", context=_parent(answer), kind=SpanKind.SERVER, start_time=began, attributes=_about(answer)
        )
        if answer.status >= 500:
            span.set_status(Status(StatusCode.ERROR, answer.reason))
        span.end(began + int(answer.seconds * NANOSECONDS))


def _about(answer: Answer) -> dict[str, str | int | bool]:
    """Attributes by OpenTelemetry's names for HTTP; those of the model are our own."""
    about: dict[str, str | int | bool] = {
        "http.request.method": "POST",
        "http.route": f"/v2/models/{answer.model}/infer",
        "http.response.status_code": answer.status,
        "client.address": answer.client,
        "plimsoll.model": answer.model,
        "plimsoll.version": answer.version,
        "plimsoll.digest": answer.digest,
        "plimsoll.rows": rows_of(answer),
        "plimsoll.batch": answer.batch,
        "plimsoll.shadow": answer.shadow,
    }
    return about | ({"error.type": str(answer.status)} if answer.status >= 400 else {})


def _parent(answer: Answer) -> Any:
    """The caller's span as a context; an empty one when the request belongs to no trace."""
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, set_span_in_context

    context = parse(answer.headers.get("traceparent", ""))
    if context is None:
        return None
    state = answer.headers.get("tracestate", "")
    caller = SpanContext(
        trace_id=int(context.trace, 16),
        span_id=int(context.span, 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if context.sampled else TraceFlags.DEFAULT),
        trace_state=TraceState.from_header([state]) if state else None,
    )
    return set_span_in_context(NonRecordingSpan(caller))
