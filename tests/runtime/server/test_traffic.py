"""Which version answers: the rules by themselves, then a server that follows its file."""

from __future__ import annotations

import json
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.runtime.server.traffic import Route, Share
from tests.runtime.conftest import Server, scaled_model, until

INFER = "/v2/models/m/infer"
ASK = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 1]}]}


@given(weights=st.lists(st.integers(0, 100), min_size=1, max_size=5), draw=st.floats(0, 1, exclude_max=True))
def test_a_version_without_weight_never_answers_and_one_with_weight_does(weights: list[int], draw: float) -> None:
    route = Route([Share(version=str(n), weight=weight) for n, weight in enumerate(weights)])
    chosen = route.choose({}, draw)
    assert (chosen is None) == (sum(weights) == 0)
    assert chosen is None or weights[int(chosen)] > 0


def test_weights_are_parts_of_their_sum() -> None:
    route = Route([Share(version="1", weight=9), Share(version="2", weight=1)])
    assert Counter(route.choose({}, n / 1000) for n in range(1000)) == {"1": 900, "2": 100}


def test_headers_go_before_weights_and_all_must_fit() -> None:
    route = Route([Share(version="1", weight=100), Share(version="2", headers={"cohort": "beta", "site": "7"})])
    assert route.choose({"cohort": "beta", "site": "7", "more": ""}, 0.5) == "2"
    assert route.choose({"cohort": "beta"}, 0.5) == "1"


def test_a_shadow_gets_its_part_of_the_requests_but_no_copy_of_its_own() -> None:
    route = Route([Share(version="1", weight=100), Share(version="2", shadow=30)])
    assert sum(len(route.shadows("1", n / 100)) for n in range(100)) == 30
    assert route.shadows("2", 0.0) == []


class Service:
    """A server with a service file that a test changes."""

    def __init__(self, directory: Path, **traffic: Any) -> None:
        self.directory = directory
        self.file = directory / "service.json"
        for version, factor in (("1", 1.0), ("2", 2.0)):
            scaled_model(directory / version / "model.onnx", factor)
        self.write(**traffic)
        self.server = Server(None, directory, "--service", str(self.file))

    def write(self, versions: str = "12", **shares: Any) -> None:
        models = [
            {"name": "m", "version": version, "path": str(self.directory / version / "model.onnx")}
            for version in versions
        ]
        traffic = {"m": [{"version": name.removeprefix("v"), **share} for name, share in shares.items()]}
        part = self.file.with_suffix(".part")
        part.write_text(json.dumps({"models": models, "traffic": traffic if shares else {}}))
        part.replace(self.file)

    def change(self, versions: str = "12", **shares: Any) -> None:
        self.write(versions, **shares)
        self.server.process.send_signal(signal.SIGHUP)

    def answers(self, count: int, **headers: str) -> Counter[str]:
        return Counter(
            self.server.client.post(INFER, json=ASK, headers=headers).json()["model_version"] for _ in range(count)
        )


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path, v1={"weight": 80}, v2={"weight": 20, "headers": {"cohort": "beta"}})
    yield service
    assert service.server.stop() == 0


def test_requests_are_shared_by_weight_led_by_header_and_by_version(service: Service) -> None:
    shared = service.answers(300)
    # Either bound is missed by chance less than once in ten million runs.
    assert 25 <= shared["2"] <= 105
    assert service.answers(20, cohort="beta") == {"2": 20}
    explicit = service.server.client.post("/v2/models/m/versions/1/infer", json=ASK).json()
    assert explicit["outputs"][0]["data"] == [1.0, 1.0]


@pytest.mark.slow
def test_a_shadow_gets_copies_and_the_caller_gets_the_answer_of_the_other(service: Service) -> None:
    service.change(v1={"weight": 100}, v2={"shadow": 100})
    copies = 'plimsoll_shadow_requests_total{code="200",model="m",version="2"}'

    def copied() -> bool:
        # A server that is busy drops copies: whoever waits for twenty has to go on asking.
        return service.answers(20) == {"1": 20} and service.server.metric(copies) >= 20

    until(copied)


@pytest.mark.slow
def test_weights_and_versions_change_under_load_without_a_failed_request(service: Service) -> None:
    ending = threading.Event()
    statuses: Counter[int] = Counter()

    def ask() -> None:
        with httpx.Client(base_url=service.server.url, timeout=30) as client:
            while not ending.is_set():
                statuses[client.post(INFER, json=ASK).status_code] += 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: statuses[200] > 10)
        for turn in range(6):
            if turn % 2:
                service.change("12", v1={"weight": 0}, v2={"weight": 100})
                until(lambda: service.answers(5) == {"2": 5})
            else:
                service.change("1", v1={"weight": 100})
                until(lambda: service.answers(5) == {"1": 5})
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    assert set(statuses) == {200}


@pytest.mark.slow
def test_a_file_that_cannot_be_served_leaves_everything_as_it_was(service: Service) -> None:
    service.file.write_text("rubbish")
    service.server.process.send_signal(signal.SIGHUP)
    (service.directory / "2" / "model.onnx").write_bytes(b"rubbish")
    assert set(service.answers(100)) == {"1", "2"}
    reload = service.server.client.post("/v2/repository/models/m/load")
    assert reload.status_code == 400
    assert "this is no service file" in reload.json()["error"]
    service.write(v1={"weight": 50}, v2={"weight": 50})
    refused = service.server.client.post("/v2/repository/models/m/load")
    assert refused.status_code == 400
    assert "the model cannot be loaded" in refused.json()["error"]
    assert set(service.answers(100)) == {"1", "2"}
