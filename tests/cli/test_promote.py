"""A model moved into a running service: one that is well goes in, one that fails goes back by itself."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import ENVIRONMENT, Plimsoll, answer, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

TRAIN = """
import json, os, pathlib, numpy, onnx
from onnx import TensorProto, helper, numpy_helper
rows = int(pathlib.Path("rows.txt").read_text())
table = numpy.arange(rows, dtype=numpy.float32) * 2
info = helper.make_tensor_value_info
graph = helper.make_graph([helper.make_node("Gather", ["table", "i"], ["y"])], "g", [info("i", TensorProto.INT64, [None])],
    [info("y", TensorProto.FLOAT, [None])], [numpy_helper.from_array(table, "table")])
out = pathlib.Path(os.environ["PLIMSOLL_OUTPUT"])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), out / "model.onnx")
(out / "metrics.json").write_text(json.dumps({"accuracy": 0.9}))
"""
SPEC = """
  models:
    m:
      train: {run: PYTHON train.py, code: [rows.txt, train.py]}
      accept: {accuracy: ">= 0.5"}
  services:
    m: {model: %s, scale: {min: 0, max: 2, concurrency: 32}, latency: {p99: 100ms}}
""".replace("PYTHON", sys.executable)


class Watched:
    def __init__(self, directory: Path) -> None:
        self.file = directory / ".plimsoll/services/m.json"
        self.statuses: list[int] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    @property
    def url(self) -> str:
        return str(json.loads(self.file.read_text())["url"])

    def ask(self, client: httpx.Client, number: int) -> httpx.Response:
        tensor = {"name": "i", "datatype": "INT64", "shape": [1], "data": [number]}
        return client.post(f"{self.url}/v2/models/m/infer", json={"inputs": [tensor]})

    def _ask(self) -> None:
        with httpx.Client(timeout=30) as client:
            number = 0
            while not self._ending.is_set():
                number += 1
                self.statuses.append(self.ask(client, number % 10).status_code)

    @contextlib.contextmanager
    def under_load(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._ending.set()
            self._thread.join()

    def versions(self, count: int = 30) -> set[str]:
        with httpx.Client(timeout=30) as client:
            return {self.ask(client, 1).json()["model_version"] for _ in range(count)}


def train(plimsoll: Plimsoll, directory: Path, rows: int) -> None:
    (directory / "rows.txt").write_text(str(rows))
    told: Any = answer(plimsoll("run", "--json"))
    assert told["state"] == "done", told


@pytest.fixture
def watched(tmp_path: Path, plimsoll: Plimsoll) -> Iterator[Watched]:
    """Versions 1 and 3 know ten rows, version 2 only five; version 1 is in service."""
    write(tmp_path, SPEC % "m", train_py=TRAIN)
    for rows in (10, 5, 11):
        train(plimsoll, tmp_path, rows)
    write(tmp_path, SPEC % "[{model: m@1, weight: 100}]")
    argv = [sys.executable, "-m", "plimsoll", "run", "--watch"]
    environment = {**ENVIRONMENT, "XDG_CONFIG_HOME": str(tmp_path / ".config")}
    running = subprocess.Popen(argv, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    watched = Watched(tmp_path)
    deadline = time.monotonic() + 90
    while not watched.file.exists():
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield watched
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 0


@pytest.mark.series
def test_a_version_that_fails_goes_back_by_itself_and_one_that_is_well_goes_in(
    watched: Watched, plimsoll: Plimsoll
) -> None:
    pace = ("--steps", "30,100", "--requests", "60", "--hold", "0", "--limit", "60")
    assert watched.versions() == {"1"}
    # As the file's scale asks for, a process that never answers itself keeps one that does.
    pid = json.loads(watched.file.read_text())["pid"]
    assert Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert "onnxruntime" not in Path(f"/proc/{pid}/maps").read_text()
    with watched.under_load():
        back = plimsoll("promote", "m@2", *pace, "--json")
        assert back.returncode == 1
        told = answer(back)
        assert told.get("weight") == 0, told
        assert "failed requests" in told["reason"]
        deadline = time.monotonic() + 20
        while watched.versions() != {"1"}:
            assert time.monotonic() < deadline
        done = plimsoll("promote", "m@3", *pace)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "m@3 answers all requests" in done.stdout
    assert "failed requests: 0 of" in done.stdout
    deadline = time.monotonic() + 20
    while watched.versions() != {"3"}:
        assert time.monotonic() < deadline
    again = plimsoll("promote", "m@3", *pace)
    assert again.returncode == 1
    assert "service m already sends its requests to" in again.stderr
    back = plimsoll("rollback", "m")
    assert back.returncode == 0, back.stderr
    assert "service m: version 1 answers all requests (rolled back from version 3)" in back.stdout
    deadline = time.monotonic() + 20
    while watched.versions() != {"1"}:
        assert time.monotonic() < deadline


def test_a_promotion_that_is_killed_is_undone_by_the_next(watched: Watched, plimsoll: Plimsoll, tmp_path: Path) -> None:
    environment = {**ENVIRONMENT, "XDG_CONFIG_HOME": str(tmp_path / ".config")}
    argv = [sys.executable, "-m", "plimsoll", "promote", "m@3", "--steps", "50,100", "--hold", "60"]
    first = subprocess.Popen(argv, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    assert first.stdout
    assert "50 %" in first.stdout.readline()
    deadline = time.monotonic() + 20
    while watched.versions() != {"1", "3"}:
        assert time.monotonic() < deadline
    beside = plimsoll("promote", "m@2")
    assert beside.returncode == 1
    assert "another promotion into this service is running" in beside.stderr
    assert "a promotion is running" in plimsoll("status").stdout
    first.kill()
    first.communicate()
    assert "a promotion was interrupted" in plimsoll("status").stdout
    assert watched.versions() == {"1", "3"}
    back = plimsoll("promote", "m@1")
    assert "was interrupted: the weights are restored" in back.stdout
    assert "service m already sends its requests to m@1" in back.stderr.replace("\n", " ")
    deadline = time.monotonic() + 20
    while watched.versions() != {"1"}:
        assert time.monotonic() < deadline
    assert "interrupted" not in plimsoll("promote", "m@1").stdout
    assert "promotion" not in plimsoll("status").stdout


def test_without_a_running_service_there_is_nothing_to_promote_into(tmp_path: Path, plimsoll: Plimsoll) -> None:
    write(tmp_path, SPEC % "m", train_py=TRAIN)
    train(plimsoll, tmp_path, 10)
    refused = plimsoll("promote", "m@1")
    assert refused.returncode == 1
    assert "no service of model m is running" in refused.stderr
    assert plimsoll("promote", "m@1", "--steps", "50").returncode == 2
