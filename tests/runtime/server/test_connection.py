"""HTTP/1.1 as clients really speak it, and as nobody should."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plimsoll.runtime.server.heads import BadHead, Chunks
from tests.runtime.conftest import Server, slow_model, until

INFER = b"/v2/models/m/infer"
BODY = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[3,1]}]}'


def request(body: bytes = BODY, *lines: bytes, version: bytes = b"1.1", close: bool = True) -> bytes:
    head = [b"POST " + INFER + b" HTTP/" + version, b"Host: here", b"Content-Length: %d" % len(body), *lines]
    if close:
        head.append(b"Connection: close")
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def test_requests_that_come_together_are_answered_in_their_order(linear: Server) -> None:
    bodies = [BODY.replace(b"[3,1]", b"[%d,0]" % number) for number in range(50)]
    raw = b"".join(request(body, close=False) for body in bodies[:-1]) + request(bodies[-1])
    answers = re.findall(rb'"score","datatype":"FP32","shape":\[1,1\],"data":\[([0-9.]+)\]', linear.ask(raw))
    assert [float(each) for each in answers] == list(map(float, range(50)))


def test_a_request_that_comes_byte_by_byte_is_answered(linear: Server) -> None:
    raw = request()
    assert linear.ask(*(raw[n : n + 1] for n in range(len(raw)))).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("sizes", [[1], [7], [1000], [3, 1, 60]])
def test_a_body_in_chunks_is_put_together(linear: Server, sizes: list[int]) -> None:
    chunks: list[bytes] = []
    position = 0
    while position < len(BODY):
        part = BODY[position : position + sizes[len(chunks) % len(sizes)]]
        chunks.append(b"%x;ext=1\r\n%b\r\n" % (len(part), part))
        position += len(part)
    head = b"POST " + INFER + b" HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    assert linear.ask(head, *chunks, b"0\r\nTrailer: t\r\n\r\n").startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_asks_first_is_told_to_continue(linear: Server) -> None:
    with linear.connect() as connection:
        raw = request(BODY, b"Expect: 100-continue")
        connection.sendall(raw[: -len(BODY)])
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")


def test_a_client_of_the_old_version_is_answered_and_the_connection_ends(linear: Server) -> None:
    assert b"connection: close" in linear.ask(request(version=b"1.0", close=False))


@pytest.mark.parametrize("option", [b"close", b"Close", b"te, close"])
def test_a_request_without_a_body_can_ask_for_the_end_of_the_connection(linear: Server, option: bytes) -> None:
    answer = linear.ask(b"GET /v2/health/live HTTP/1.1\r\nHost: here\r\nConnection: " + option + b"\r\n\r\n")

    assert b"connection: close" in answer
    assert answer.endswith(b'{"live":true}')


def test_a_client_that_sends_no_more_still_gets_its_answers(linear: Server) -> None:
    with linear.connect() as connection:
        connection.sendall(request(close=False) * 3)
        connection.shutdown(socket.SHUT_WR)
        got = b"".join(iter(lambda: connection.recv(65536), b""))
    assert got.count(b"HTTP/1.1 200 OK") == 3


def test_a_request_for_another_protocol_is_answered_in_this_one(linear: Server) -> None:
    upgrade = request(BODY, b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__", close=False)
    with linear.connect() as connection:
        connection.sendall(upgrade.replace(b"Host: here", b"Host: here\r\nConnection: Upgrade, HTTP2-Settings"))
        assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"rubbish\r\n\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\nHost: h\r\nbad header\r\n\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\nHost: h\r\nA: " + b"a" * 40_000, 431),
        (b"POST /v2 HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /v2 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (b"POST /v2 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST /v2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"POST /v2 HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", 415),
        (b"POST /v2 HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"POST /v2 HTTP/1.1\r\nHost: h\r\nExpect: a miracle\r\nContent-Length: 1\r\n\r\n", 417),
        (b"POST /v2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST /v2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n", 400),
        (b"POST /v2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n", 413),
        (b"GET /v2\r\n\r\n", 400),
        (b"GET /v2 HTTP/0.9\r\nHost: h\r\n\r\n", 505),
        (b"GET /v2 HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        (b"GET  /v2 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\n\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\nHost: h\nA: b\r\n\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\nHost: h\r\n" + b"a:\r\n" * 200 + b"\r\n", 431),
        (b"\r\n" * 3, 400),
        (b"POST /v2 HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /v2/health/live HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\n\r\n", 413),
    ],
)
def test_what_cannot_be_read_on_is_answered_with_a_reason_and_ends(linear: Server, raw: bytes, status: int) -> None:
    answer = linear.ask(raw)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    assert b"connection: close" in answer


@pytest.mark.parametrize(
    "body",
    [
        b"1 \r\nx\r\n0\r\n\r\n",
        b" 1\r\nx\r\n0\r\n\r\n",
        b"1;a=\nb\r\nx\r\n0\r\n\r\n",
        b"1;a=\rb\r\nx\r\n0\r\n\r\n",
        b"1\nx\r\n0\r\n\r\n",
        b"0x1\r\nx\r\n0\r\n\r\n",
        b"+1\r\nx\r\n0\r\n\r\n",
        b"0\r\nno trailer\r\n\r\n",
        b"0\r\nA: b\nC: d\r\n\r\n",
        b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n",
    ],
)
def test_chunks_that_some_reader_would_take_for_others_are_refused(body: bytes) -> None:
    chunks, data = Chunks(1 << 20), bytearray(body)
    with pytest.raises(BadHead) as refused:
        while not chunks.feed(data):
            assert chunks.paused, "the end of the bytes is reached"

    assert refused.value.status == 400


@pytest.mark.parametrize("size", [b"1 ;a=b", b"1;a", b'1;a="b c"', b"01", b"1\t;a"])
def test_chunks_with_extensions_are_read(size: bytes) -> None:
    chunks = Chunks(100)

    assert chunks.feed(bytearray(size + b"\r\nx\r\n0\r\nA: b\r\n\r\n"))
    assert chunks.body == b"x"


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=60)
@given(data=st.data())
def test_no_bytes_on_a_connection_harm_the_server(data: st.DataObject, linear: Server) -> None:
    """Good requests with bytes changed, left out and put in: every answer is of HTTP, none is a 500."""
    raw = bytearray(request() + request(b"x" * 40))
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(raw)))
        raw[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    with linear.connect() as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        got = b""
        with contextlib.suppress(ConnectionResetError):
            got = b"".join(iter(lambda: connection.recv(65536), b""))
    assert not got or re.match(rb"HTTP/1\.1 (?!5)\d\d\d ", got), got
    assert linear.client.get("/v2/health/live").status_code == 200


def test_large_bodies_and_promises_of_them_leave_no_memory_behind(linear: Server) -> None:
    def resident() -> int:
        status = Path(f"/proc/{linear.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]

    def attack() -> None:
        waiting = [linear.connect() for _ in range(50)]
        for connection in waiting:
            connection.sendall(b"POST " + INFER + b" HTTP/1.1\r\nHost: h\r\nContent-Length: 60000000\r\n\r\n{")
        for _ in range(100):
            assert linear.client.post(INFER.decode(), content=b"[" * 100_000).status_code == 400
        assert linear.client.post(INFER.decode(), content=b" " * 8_000_000).status_code == 400
        for connection in waiting:
            connection.close()

    attack()
    before = resident()
    for _ in range(3):
        attack()
    # In KiB: 150 promises of 60 MB each, and 300 bodies.
    assert resident() - before < 20_000


@pytest.mark.slow
def test_clients_that_send_nothing_hold_nobody_up_and_are_let_go(tmp_path: Path) -> None:
    from tests.runtime.conftest import linear_model

    server = Server(linear_model(tmp_path / "m.onnx"), tmp_path, "--receive", "1", "--idle", "2")
    try:
        half, silent = server.connect(), server.connect()
        half.sendall(request()[:-5])
        assert server.client.post(INFER.decode(), content=BODY).status_code == 200
        assert half.recv(4096).startswith(b"HTTP/1.1 408 ")
        assert silent.recv(4096) == b""
        half.close()
        silent.close()
    finally:
        assert server.stop() == 0


def test_beyond_the_queue_requests_are_refused_at_once_and_told_when_to_come_again(tmp_path: Path) -> None:
    server = Server(slow_model(tmp_path / "m.onnx"), tmp_path, "--queue", "2")
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [64, 1024], "data": [1.0] * (64 * 1024)}]}
    statuses: list[int] = []
    retry: set[bool] = set()

    def ask() -> None:
        import httpx

        answer = httpx.post(server.url + INFER.decode(), json=body, timeout=50)
        statuses.append(answer.status_code)
        retry.add(answer.status_code != 503 or int(answer.headers["retry-after"]) >= 1)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(statuses) == {200, 503}
        assert statuses.count(200) >= 2
        assert retry == {True}
        assert server.client.get("/v2/health/live").status_code == 200
    finally:
        assert server.stop() == 0


@pytest.mark.slow
def test_an_inference_that_takes_too_long_is_ended_and_frees_its_thread(tmp_path: Path) -> None:
    server = Server(slow_model(tmp_path / "m.onnx"), tmp_path, "--seconds", "1")

    def status(rows: int) -> int:
        tensor = {"name": "x", "datatype": "FP32", "shape": [rows, 1024]}
        head = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": rows * 4096}}]}).encode()
        headers = {"Inference-Header-Content-Length": str(len(head))}
        return server.client.post(INFER.decode(), content=head + bytes(rows * 4096), headers=headers).status_code

    try:
        # Two hundred thousand million multiplications: seconds on any core. One row is a five-thousandth of that.
        assert status(4096) == 504
        until(lambda: status(1) == 200)
    finally:
        assert server.stop() == 0
