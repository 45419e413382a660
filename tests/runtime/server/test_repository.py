"""Several models and versions in one server, loaded and unloaded by the protocol's calls."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.runtime.conftest import Server, scaled_model, until

ASK = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 1]}]}


class Repository:
    def __init__(self, directory: Path) -> None:
        self.models = directory / "models"
        for name, version, factor in (("a", 1, 1.0), ("a", 10, 10.0), ("a", 9, 9.0), ("b", 1, -1.0), ("c", 1, 1.0)):
            self.put(name, version, factor)
        self.server = Server(None, directory, "--repository", str(self.models))

    def put(self, name: str, version: int, factor: float) -> None:
        scaled_model(self.models / name / str(version) / "model.onnx", factor)

    def first(self, path: str) -> float:
        answer = self.server.client.post(f"/v2/models/{path}/infer", json=ASK)
        assert answer.status_code == 200, answer.text
        return float(answer.json()["outputs"][0]["data"][0])


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    repository = Repository(tmp_path_factory.mktemp("repository"))
    yield repository
    assert repository.server.stop() == 0


def test_every_version_answers_under_its_path_and_the_newest_under_none(repository: Repository) -> None:
    paths = ("a", "a/versions/1", "a/versions/9", "a/versions/10", "c/versions/1")
    assert [repository.first(path) for path in paths[:4]] == [10.0, 1.0, 9.0, 10.0]
    assert repository.first(paths[4]) == repository.first("c")
    versions = repository.server.client.get("/v2/models/a").json()["versions"]
    assert sorted(versions) == ["1", "10", "9"]


def test_an_unloaded_model_is_gone_and_comes_back_with_what_is_new(repository: Repository) -> None:
    client = repository.server.client
    assert client.post("/v2/repository/models/b/unload").status_code == 200
    assert client.get("/v2/models/b/ready").status_code == 503
    assert client.post("/v2/models/b/infer", json=ASK).status_code == 503
    states = {(line["name"], line["version"]): line["state"] for line in client.post("/v2/repository/index").json()}
    assert states["b", "1"] == "UNAVAILABLE"
    assert states["a", "10"] == "READY"
    assert client.get("/v2/health/ready").status_code == 200
    repository.put("b", 1, -5.0)
    assert client.post("/v2/repository/models/b/load").status_code == 200
    assert repository.first("b") == -5.0


@pytest.mark.parametrize("verb", ["load", "unload"])
@pytest.mark.parametrize(("name", "status"), [("nothing", 404), ("..%2F..%2Fetc", 400), ("a%2F..%2Fb", 400)])
def test_a_model_that_is_not_there_is_named(repository: Repository, verb: str, name: str, status: int) -> None:
    answer = repository.server.client.post(f"/v2/repository/models/{name}/{verb}")
    assert answer.status_code == status
    assert answer.json()["error"]


def test_loading_anew_under_load_fails_no_request(repository: Repository) -> None:
    ending = threading.Event()
    statuses: Counter[int] = Counter()

    def ask() -> None:
        with httpx.Client(base_url=repository.server.url, timeout=30) as client:
            while not ending.is_set():
                statuses[client.post("/v2/models/c/infer", json=ASK).status_code] += 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: statuses[200] > 10)
        for factor in (11.0, 12.0, 13.0, 14.0):
            repository.put("c", 1, factor)
            assert repository.server.client.post("/v2/repository/models/c/load", timeout=50).status_code == 200
            assert repository.first("c") == factor
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    assert set(statuses) == {200}
