"""Clients of an activator in front of servers that start and stop, as real processes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.runtime.conftest import Server, linear_model
from tests.servers import free_port

ROW = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [3, 1]}]}
INFER = "/v2/models/m/infer"


class Activator:
    def __init__(self, *arguments: str) -> None:
        self.port, self.to = free_port(), free_port()
        own = ["--to", f"127.0.0.1:{self.to}", "--port", str(self.port), *arguments]
        command = [sys.executable, "-m", "plimsoll.runtime.activator", *own]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        assert "forwards requests to" in self.process.stdout.readline()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    def load(self) -> dict[str, Any]:
        return dict(self.client.get("/plimsoll/load").json())

    def stop(self) -> int:
        self.client.close()
        self.process.terminate()
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            if self.process.stdout:
                self.process.stdout.close()


@pytest.fixture
def activator() -> Iterator[Activator]:
    made = Activator()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return linear_model(tmp_path_factory.mktemp("linear") / "model.onnx")


def serve(model: Path, directory: Path, activator: Activator, *more: str) -> Server:
    return Server(model, directory, "--port", str(activator.to), *more)


@pytest.mark.slow
def test_a_request_waits_for_a_server_and_is_answered_by_it(activator: Activator, model: Path, tmp_path: Path) -> None:
    answers: list[httpx.Response] = []
    waiting = [
        threading.Thread(
            target=lambda: answers.append(httpx.post(f"{activator.client.base_url}{INFER}", json=ROW, timeout=40))
        )
        for _ in range(5)
    ]
    for each in waiting:
        each.start()
    deadline = time.monotonic() + 10
    while activator.load()["now"] < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert activator.load()["now"] == 5
    assert activator.load()["underWay"] > 0
    server = serve(model, tmp_path, activator)
    try:
        for each in waiting:
            each.join(30)
        assert [each.status_code for each in answers] == [200] * 5
        direct = server.client.post(INFER, json=ROW)
        assert all(each.json()["outputs"] == direct.json()["outputs"] for each in answers)
        assert activator.load()["now"] == 0
        assert "plimsoll_activator_requests_waited 5.0" in activator.client.get("/metrics").text
    finally:
        server.stop()


def test_health_checks_are_answered_without_a_server_and_are_no_load(activator: Activator) -> None:
    for path in ("/v2/health/ready", "/v2/health/live", "/metrics"):
        assert activator.client.get(path).status_code == 200
        assert activator.client.head(path).content == b""
    assert activator.load() == {"underWay": 0.0, "now": 0}


@pytest.mark.slow
def test_errors_binary_bodies_and_headers_pass_unchanged(activator: Activator, model: Path, tmp_path: Path) -> None:
    server = serve(model, tmp_path, activator)
    try:
        for path, body in (("/v2/models/nobody/infer", ROW), (INFER, {"inputs": []}), ("/nowhere", ROW)):
            direct, through = (each.client.post(path, json=body) for each in (server, activator))
            assert (through.status_code, through.content) == (direct.status_code, direct.content)
        binary = {**ROW, "outputs": [{"name": "score", "parameters": {"binary_data": True}}]}
        direct, through = (each.client.post(INFER, json=binary) for each in (server, activator))
        length = "inference-header-content-length"
        assert through.headers[length] == direct.headers[length]
        assert through.content == direct.content
        assert activator.client.get("/v2/models/m").json() == server.client.get("/v2/models/m").json()
        assert activator.client.head("/v2/models/m").content == b""
    finally:
        server.stop()


@pytest.mark.slow
def test_no_request_fails_while_a_server_is_replaced(activator: Activator, model: Path, tmp_path: Path) -> None:
    server = serve(model, tmp_path, activator)
    ended, codes = threading.Event(), []

    def ask() -> None:
        with httpx.Client(base_url=activator.client.base_url, timeout=60) as client:
            while not ended.is_set():
                codes.append(client.post(INFER, json=ROW).status_code)

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for each in asking:
        each.start()
    try:
        for kill in (False, True):
            time.sleep(0.5)
            if kill:
                server.process.kill()
            server.stop()
            server = serve(model, tmp_path, activator)
        time.sleep(0.5)
    finally:
        ended.set()
        for each in asking:
            each.join(30)
        server.stop()
    assert len(codes) > 100
    assert set(codes) == {200}


@pytest.mark.slow
def test_a_request_that_waits_too_long_gets_a_503() -> None:
    activator = Activator("--patience=0.5")
    try:
        answer = activator.client.post(INFER, json=ROW)
        assert answer.status_code == 503
        assert answer.json()["error"] == "no server was ready within 0.5 s"
        assert answer.headers["retry-after"]
    finally:
        activator.stop()


def test_a_request_beyond_the_waiting_bytes_is_refused() -> None:
    activator = Activator("--most=100", "--patience=0.5")
    try:
        answer = activator.client.post(INFER, content=b" " * 200)
        assert (answer.status_code, answer.json()["error"]) == (503, "too many bytes of requests wait for a server")
    finally:
        activator.stop()


@pytest.mark.slow
def test_an_end_lets_what_is_under_way_be_answered(model: Path, tmp_path: Path) -> None:
    activator = Activator("--drain=20")
    answers: list[int] = []
    url = f"{activator.client.base_url}{INFER}"
    asking = threading.Thread(target=lambda: answers.append(httpx.post(url, json=ROW, timeout=30).status_code))
    asking.start()
    while not activator.load()["now"]:
        time.sleep(0.05)
    activator.process.terminate()
    server = serve(model, tmp_path, activator)
    try:
        asking.join(30)
        assert answers == [200]
        # Asked to end once more, it might end by that while it is ending.
        assert activator.process.wait(30) == 0
    finally:
        activator.stop()
        server.stop()


def test_an_error_at_start_is_reported_in_one_line() -> None:
    command = [sys.executable, "-m", "plimsoll.runtime.activator", "--to", "nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "'nowhere' is not an address" in done.stderr
