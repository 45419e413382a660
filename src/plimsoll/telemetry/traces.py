"""Export requests as OpenTelemetry spans, children of the caller's span by W3C Trace Context. Needs the extra `otel`.

OpenTelemetry's own variables set the destination and the sampling of spans (`OTEL_EXPORTER_OTLP_ENDPOINT`,
`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER`, `OTEL_SERVICE_NAME`, …).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from plimsoll.errors import MissingExtra
from plimsoll.runtime.server.observers import Answer, Generated
from plimsoll.telemetry.context import parse_traceparent
from plimsoll.telemetry.requests import request_rows, route_of

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

NANOSECONDS = 1e9


class TraceExporter:
    """Sends spans to an OpenTelemetry `exporter`, by default OTLP over HTTP."""

    def __init__(self, service: str, exporter: SpanExporter | None = None) -> None:
        """Set up the exporter. Raises MissingExtra without OpenTelemetry."""
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
        """Export one span for each answer, with the times that the server measured."""
        for answer in answers:
            self._span(answer)

    def close(self) -> None:
        """Send the waiting spans."""
        self._provider.shutdown()

    def _span(self, answer: Answer) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode

        began = int(answer.began * NANOSECONDS)
        generated = answer.generated
        name = f"{generated.operation} {generated.asked}" if generated else f"POST {route_of(answer, answer.model)}"
        span = self._tracer.start_span(
            name,
            context=_parent_context(answer),
            kind=SpanKind.SERVER,
            start_time=began,
            attributes=_span_attributes(answer),
        )
        if generated is not None and generated.stages:
            self._stages(span, generated, began)
        if answer.status >= 500:
            span.set_status(Status(StatusCode.ERROR, answer.reason))
        span.end(began + int(answer.seconds * NANOSECONDS))

    def _stages(self, span: Span, generated: Generated, began: int) -> None:
        """The searches of an assistant as spans of their own; what it writes by has a span as every language model."""
        from opentelemetry.trace import set_span_in_context

        context = set_span_in_context(span)
        index = generated.versions.get("index", "").partition("@")[0]
        for stage, operation in _OPERATIONS.items():
            seconds = generated.stages.get(stage, 0.0)
            if stage not in generated.stages:
                continue
            attributes = {"gen_ai.operation.name": operation, "gen_ai.data_source.id": index}
            child = self._tracer.start_span(
                f"{operation} {index}", context=context, start_time=began, attributes=attributes
            )
            began += int(seconds * NANOSECONDS)
            child.end(began)


_OPERATIONS = {"embed": "embeddings", "search": "retrieval", "rerank": "rerank"}
"""Stages before an answer is written, in their order, as OpenTelemetry calls them; it has no word for the last."""


def _span_attributes(answer: Answer) -> dict[str, str | int | float | bool]:
    """Span attributes: OpenTelemetry's names for HTTP and for generative AI, and our own for the model."""
    about: dict[str, str | int | float | bool] = {
        "http.request.method": "POST",
        "http.route": route_of(answer, answer.model),
        "http.response.status_code": answer.status,
        "client.address": answer.client,
        "plimsoll.model": answer.model,
        "plimsoll.version": answer.version,
        "plimsoll.digest": answer.digest,
        "plimsoll.rows": request_rows(answer),
        "plimsoll.batch": answer.batch,
        "plimsoll.shadow": answer.shadow,
    }
    if answer.generated is not None:
        about |= _of_generated(answer.generated, answer.model)
    return about | ({"error.type": str(answer.status)} if answer.status >= 400 else {})


def _of_generated(generated: Generated, model: str) -> dict[str, str | int | float | bool]:
    """Source: OpenTelemetry's semantic conventions for generative AI. The texts are in no span."""
    found: dict[str, str | int | float | bool] = {
        "gen_ai.operation.name": generated.operation,
        "gen_ai.provider.name": generated.engine,
        "gen_ai.request.model": generated.asked,
        "gen_ai.request.max_tokens": generated.most_tokens,
        "gen_ai.response.model": model,
        "gen_ai.usage.input_tokens": generated.input_tokens,
        "gen_ai.usage.output_tokens": generated.output_tokens,
        "plimsoll.llm.cached_tokens": generated.cached_tokens,
        "plimsoll.llm.queue_seconds": generated.waited,
    }
    if generated.versions:
        found["gen_ai.agent.name"] = generated.asked
    if generated.outcome:
        found["plimsoll.assistant.outcome"] = generated.outcome
    found |= {f"plimsoll.assistant.{verdict}_sentences": number for verdict, number in generated.sentences.items()}
    found |= {f"plimsoll.assistant.{stage}_seconds": seconds for stage, seconds in generated.stages.items()}
    return found | ({"plimsoll.llm.time_to_first_token": generated.first_token} if generated.first_token else {})


def _parent_context(answer: Answer) -> Context | None:
    """The caller's span as a context; `None` when the request belongs to no trace."""
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, set_span_in_context

    context = parse_traceparent(answer.headers.get("traceparent", ""))
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
