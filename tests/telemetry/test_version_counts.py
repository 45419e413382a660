"""Counters of versions from pages of metrics: read, added over servers, and told apart by two looks."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from plimsoll.engine.promotion.judging import version_sample
from plimsoll.errors import RequestError
from plimsoll.telemetry.version_counts import VersionCounts, added, counts_at, counts_in

PAGE = """\
# HELP plimsoll_requests_total Requests answered.
# TYPE plimsoll_requests_total counter
plimsoll_requests_total{model="m",version="1",code="200"} 90.0
plimsoll_requests_total{model="m",version="1",code="500"} 10.0
plimsoll_requests_total{model="m",version="2",code="200"} 5.0
plimsoll_requests_total{model="other",version="1",code="200"} 7.0
# TYPE plimsoll_request_seconds histogram
plimsoll_request_seconds_bucket{model="m",version="1",le="0.1"} 60.0
plimsoll_request_seconds_bucket{model="m",version="1",le="+Inf"} 100.0
plimsoll_request_seconds_count{model="m",version="1"} 100.0
plimsoll_request_seconds_sum{model="m",version="1"} 9.5
# TYPE plimsoll_model_info gauge
plimsoll_model_info{model="m",version="1",digest="sha256:0"} 1.0
plimsoll_model_info{model="m",version="2",digest="sha256:1"} 0.0
# TYPE plimsoll_feedback_labels counter
plimsoll_feedback_labels_total{model="m",version="1"} 40.0
# TYPE plimsoll_feedback_score gauge
plimsoll_feedback_score{model="m",version="1",score="accuracy"} 0.75
plimsoll_feedback_score{model="m",version="1",score="f1"} 0.5
plimsoll_requests_under_way 3.0
"""


def counts(good: float = 0, bad: float = 0, **more: object) -> VersionCounts:
    return VersionCounts(codes={"200": good, "500": bad}, **more)  # type: ignore[arg-type]


def test_a_page_has_the_counts_of_each_version_of_the_model_and_of_no_other() -> None:
    found = counts_in(PAGE, "m")
    assert list(found) == ["1", "2"]
    assert found["1"] == VersionCounts(
        codes={"200": 90, "500": 10}, latencies={0.1: 60, math.inf: 100}, labels=40, accuracy=0.75, loaded=True
    )
    assert found["2"] == VersionCounts(codes={"200": 5})
    assert counts_in(PAGE, "third") == {}
    assert counts_in("", "m") == {}


@pytest.mark.parametrize("page", ['{"error": "not ready"}', "<html><body>502 Bad Gateway</body></html>"])
def test_another_page_than_one_of_metrics_is_an_error_of_the_request(page: str) -> None:
    with pytest.raises(RequestError, match="cannot be read"):
        counts_in(page, "m")


def test_several_servers_count_together() -> None:
    total = added([counts(10, 1, latencies={0.1: 5, 1.0: 11}), counts(20, 0, latencies={0.1: 20, 1.0: 20})])
    assert total.codes == {"200": 30, "500": 1}
    assert total.latencies == {0.1: 25, 1.0: 31}


def test_the_accuracy_of_several_servers_is_that_of_all_their_labels() -> None:
    total = added([counts(labels=90, accuracy=1.0), counts(labels=10, accuracy=0.0), counts(accuracy=0.3)])
    assert total.labels == 100
    assert total.accuracy == pytest.approx(0.9)


def test_a_version_is_loaded_once_every_server_has_it() -> None:
    assert added([counts(loaded=True), counts(loaded=True)]).loaded
    assert not added([counts(loaded=True), counts(loaded=False)]).loaded
    assert added([]) == VersionCounts()


def test_adding_leaves_what_was_added_as_it_was() -> None:
    one, other = counts(1), counts(2)
    added([one, other])
    assert (one, other) == (counts(1), counts(2))


def test_between_two_looks_only_what_came_between_counts() -> None:
    before = counts(100, 50, latencies={0.1: 100, 1.0: 150}, labels=100, accuracy=0.5)
    now = counts(190, 60, latencies={0.1: 180, 1.0: 250}, labels=200, accuracy=0.7)
    found = version_sample(now, before, {"accuracy": 0.9})
    assert (found.requests, found.failures) == (100, 10)
    assert list(found.latencies) == [80, 20]
    assert (found.labelled, found.right) == (100, 90)
    assert found.metrics == {"accuracy": 0.9}


def test_a_code_that_is_new_since_the_first_look_counts_from_nothing() -> None:
    found = version_sample(VersionCounts(codes={"200": 10, "503": 4}), VersionCounts(codes={"200": 10}), {})
    assert (found.requests, found.failures) == (4, 4)


def test_a_client_that_leaves_before_its_answer_says_nothing_about_the_version() -> None:
    found = version_sample(VersionCounts(codes={"200": 10, "499": 90, "500": 1}), VersionCounts(), {})
    assert (found.requests, found.failures) == (11, 1)


def test_counters_that_begin_anew_never_count_below_nothing() -> None:
    before = counts(1000, 100, latencies={0.1: 900, 1.0: 1100}, labels=50, accuracy=1.0)
    found = version_sample(counts(3, 1, latencies={0.1: 2, 1.0: 4}, labels=2, accuracy=0.5), before, {})
    assert (found.requests, found.failures, found.labelled, found.right) == (0, 0, 0, 0)
    assert list(found.latencies) == [0, 0]


class Page(BaseHTTPRequestHandler):
    status, text = 200, PAGE

    def do_GET(self) -> None:
        body = self.text.encode() if self.path == "/metrics" else b"another page"
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(status: int, text: str) -> Iterator[str]:
    handler = type("Answering", (Page,), {"status": status, "text": text})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_page_is_asked_of_the_service_itself() -> None:
    with answering(200, PAGE) as url:
        assert counts_at(url, "m") == counts_in(PAGE, "m")


def test_a_service_that_answers_with_an_error_is_told_of_as_a_request_that_failed() -> None:
    with answering(503, '{"error": "loading"}') as url, pytest.raises(RequestError, match="answers 503") as caught:
        counts_at(url, "m")
    assert caught.value.where == url


def test_a_service_that_is_gone_is_told_of_as_a_request_that_failed() -> None:
    with answering(200, PAGE) as url:
        pass
    with pytest.raises(RequestError, match="does not answer"):
        counts_at(url, "m")
