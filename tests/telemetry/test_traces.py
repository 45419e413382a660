from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from plimsoll.telemetry.context import parse_traceparent
from tests.runtime.conftest import Server, linear_model

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def collector() -> Iterator[tuple[str, list[Span]]]:
    """An OTLP receiver on a real port, with the received spans."""
    got: list[Span] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
            request = ExportTraceServiceRequest.FromString(body)
            got.extend(span for one in request.resource_spans for scope in one.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
def test_a_request_is_a_span_under_its_callers(
    tmp_path: Path, collector: tuple[str, list[Span]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, got = collector
    monkeypatch.setitem(os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT", address)
    observer = "plimsoll.telemetry.service:watch=" + json.dumps({"service": "triage", "traces": True})
    server = Server(linear_model(tmp_path / "m.onnx"), tmp_path, "--observer", observer)
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
    headers = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "vendor=1"}
    assert server.client.post("/v2/models/m/infer", json=body, headers=headers).status_code == 200
    assert server.client.post("/v2/models/m/infer", json=body).status_code == 200
    unsampled = {"traceparent": f"00-{TRACE}-{CALLER}-00"}
    assert server.client.post("/v2/models/m/infer", json=body, headers=unsampled).status_code == 200
    assert server.stop() == 0

    ours = [span for span in got if span.trace_id.hex() == TRACE]
    assert len(got) == 2
    (span,) = ours
    assert span.parent_span_id.hex() == CALLER
    assert span.trace_state == "vendor=1"
    assert span.kind == Span.SPAN_KIND_SERVER
    assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 10**10
    told = {one.key: one.value for one in span.attributes}
    assert told["http.response.status_code"].int_value == 200
    assert told["plimsoll.digest"].string_value.startswith("sha256:")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "garbage",
        f"00-{'0' * 32}-{CALLER}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{CALLER}-01",
        f"00-{TRACE}-{CALLER}-01-more",
        f"00-{TRACE.upper()}-{CALLER}-01",
    ],
)
def test_an_invalid_traceparent_gives_no_context(header: str) -> None:
    assert parse_traceparent(header) is None


def test_a_context_of_a_later_version_is_read() -> None:
    context = parse_traceparent(f"01-{TRACE}-{CALLER}-01-what-comes-later")
    assert context is not None
    assert (context.trace, context.span, context.sampled) == (TRACE, CALLER, True)


@given(st.text(max_size=80))
def test_no_header_whatever_makes_it_fail(header: str) -> None:
    parse_traceparent(header)
