"""Workers that come and go: the numbers by themselves, then processes."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from plimsoll.runtime.server.options import Scale
from plimsoll.runtime.server.scaling import Scaling
from tests.runtime.conftest import ADMIN, Server, slow_model, until

INFER = "/v2/models/m/infer"


def asks(rows: int) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "datatype": "FP32", "shape": [rows, 1024], "data": [1.0] * (rows * 1024)}]}


def settled(scaling: Scaling, workers: int, concurrency: float, seconds: float, start: float, busy: bool = True) -> int:
    """The number of workers when things have been so for some seconds, looked at ten times a second."""
    for look in range(int(seconds * 10)):
        answered = int(start * 1000) + look if busy else int(start * 1000)
        workers = scaling.wanted(workers, concurrency, answered, start + look / 10)
    return workers


def test_workers_follow_concurrency_up_at_once_down_after_a_while_and_to_zero_when_idle() -> None:
    scaling = Scaling(Scale(min=0, max=4, concurrency=10, idle=5))
    assert settled(scaling, 1, 3.0, 10, 0) == 1
    assert settled(scaling, 1, 25.0, 2, 10) == 3
    assert settled(scaling, 3, 500.0, 2, 20) == 4
    assert settled(scaling, 4, 8.0, 3, 30) == 4
    assert settled(scaling, 4, 8.0, 30, 40) == 1
    assert settled(scaling, 1, 0.0, 30, 80, busy=False) == 0


def test_there_are_never_fewer_than_the_least() -> None:
    scaling = Scaling(Scale(min=2, max=4, concurrency=10, idle=1))
    assert settled(scaling, 2, 0.0, 60, 0, busy=False) == 2


@pytest.fixture(scope="module")
def elastic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("elastic")
    arguments = ("--scale-min", "0", "--scale-max", "3", "--scale-concurrency", "2", "--scale-idle", "1")
    server = Server(slow_model(directory / "m.onnx"), directory, *arguments)
    yield server
    assert server.stop() == 0


def workers(server: Server) -> list[int]:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return [int(each) for each in children.split()]


@pytest.mark.slow
def test_a_service_at_rest_has_no_worker_and_answers_the_next_request(elastic: Server) -> None:
    until(lambda: workers(elastic) == [])
    answers: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(httpx.post(elastic.url + INFER, json=asks(1), timeout=50).status_code)
        )
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 5


@pytest.mark.slow
def test_health_and_metrics_wake_nobody_and_know_what_was(elastic: Server) -> None:
    assert elastic.client.post(INFER, json=asks(1)).status_code == 200
    count = elastic.metric('plimsoll_requests_total{code="200",model="m",version="3"}')
    assert count >= 1
    until(lambda: workers(elastic) == [])
    assert elastic.metric('plimsoll_requests_total{code="200",model="m",version="3"}') == count
    assert httpx.get(elastic.url + "/v2/health/ready").json() == {"ready": True}
    with elastic.connect():
        assert httpx.get(elastic.url + "/v2/health/live").json() == {"live": True}
    assert workers(elastic) == []


@pytest.mark.slow
def test_load_brings_workers_whose_counts_are_one_and_no_request_fails_when_they_go(elastic: Server) -> None:
    ending = threading.Event()
    statuses: Counter[int] = Counter()

    def ask() -> None:
        with httpx.Client(base_url=elastic.url, timeout=50) as client:
            while not ending.is_set():
                statuses[client.post(INFER, json=asks(8)).status_code] += 1

    before = elastic.metric('plimsoll_requests_total{code="200",model="m",version="3"}')
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(workers(elastic)) == 3)
        changed = httpx.post(elastic.url + "/v2/repository/models/m/load", headers=ADMIN, timeout=50)
        assert changed.status_code == 200
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    until(lambda: len(workers(elastic)) < 3)
    assert set(statuses) == {200}
    now = elastic.metric('plimsoll_requests_total{code="200",model="m",version="3"}')
    assert now - before == sum(statuses.values())


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced(elastic: Server) -> None:
    assert httpx.post(elastic.url + INFER, json=asks(1), timeout=50).status_code == 200
    for pid in workers(elastic):
        os.kill(pid, signal.SIGKILL)
    assert httpx.post(elastic.url + INFER, json=asks(1), timeout=50).status_code == 200


@pytest.mark.slow
def test_an_unloaded_model_stays_away_from_new_workers(elastic: Server) -> None:
    assert httpx.post(elastic.url + "/v2/repository/models/m/unload", headers=ADMIN, timeout=50).status_code == 200
    until(lambda: workers(elastic) == [])
    assert httpx.post(elastic.url + INFER, json=asks(1), timeout=50).status_code == 503
    assert httpx.post(elastic.url + "/v2/repository/models/m/load", headers=ADMIN, timeout=50).status_code == 200
    assert httpx.post(elastic.url + INFER, json=asks(1), timeout=50).status_code == 200
