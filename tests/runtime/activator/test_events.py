"""Streams of events through an activator: as they come, and no longer than somebody reads them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests.runtime.activator.test_activator import Activator

PATH = "/v1/chat/completions"


class Writer(ThreadingHTTPServer):
    """A server whose answer is a first event at once, and a second when it is told to; then it ends or breaks off."""

    allow_reuse_address = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Answer)
        self.goes_on = threading.Event()
        self.left = threading.Event()
        self.breaks_off = False


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Writer)
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self._event(b"data: one\n\n")
        try:
            while not server.goes_on.wait(0.02):
                self._event(b": waiting\n\n")
        except OSError:
            server.left.set()
            return
        if server.breaks_off:
            self.close_connection = True
            return
        self._event(b"data: two\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, event: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def writer(port: int) -> Iterator[Writer]:
    with Writer(port) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.goes_on.set()
        server.shutdown()


@pytest.fixture(scope="module")
def activator() -> Iterator[Activator]:
    made = Activator()
    yield made
    made.stop()


def test_events_pass_as_they_come_and_are_load_until_the_last(activator: Activator) -> None:
    with writer(activator.to) as server, activator.client.stream("POST", PATH, json={}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = (line for line in answer.iter_lines() if line.startswith("data:"))
        assert next(events) == "data: one"
        assert activator.load()["now"] == 1
        server.goes_on.set()
        assert list(events) == ["data: two"]
    assert activator.load()["now"] == 0


def test_a_client_that_leaves_ends_the_answer_of_the_server(activator: Activator) -> None:
    with writer(activator.to) as server:
        with httpx.Client(timeout=20) as client, client.stream("POST", f"{activator.client.base_url}{PATH}", json={}):
            assert activator.load()["now"] == 1
        assert server.left.wait(20)
        deadline = time.monotonic() + 20
        while activator.load()["now"] and time.monotonic() < deadline:
            time.sleep(0.02)
        assert activator.load()["now"] == 0


def test_a_stream_that_breaks_off_ends_with_an_error(activator: Activator) -> None:
    with writer(activator.to) as server:
        server.breaks_off = True
        server.goes_on.set()
        answer = activator.client.post(PATH, json={})
    last = answer.text.rstrip().rpartition("data: ")[2]
    assert answer.status_code == 200
    assert "the server ended in the middle of its answer" in last
    assert activator.load()["now"] == 0
