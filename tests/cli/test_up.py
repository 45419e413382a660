"""Services that are kept up while their application is worked on: real processes, real requests."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import Plimsoll, answer, write

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
(out / "metrics.json").write_text(json.dumps({"accuracy": 0.1 if rows < 10 else 0.9}))
"""
SPEC = """
  models:
    m:
      train: {run: PYTHON train.py, code: [rows.txt, train.py]}
      accept: {accuracy: ">= 0.5"}
  services:
    m: {model: m}
""".replace("PYTHON", sys.executable)


class Up:
    """An application whose service is up, and who asks it."""

    def __init__(self, directory: Path, plimsoll: Plimsoll, spec: str = SPEC) -> None:
        self.directory = directory
        self.plimsoll = plimsoll
        write(directory, spec, train_py=TRAIN)
        self.statuses: list[int] = []
        self.versions: list[str] = []

    def train(self, rows: int) -> Any:
        (self.directory / "rows.txt").write_text(str(rows))
        return answer(self.plimsoll("run", "--json"))

    def record(self) -> Any:
        return json.loads((self.directory / ".plimsoll/keeper/keeper.json").read_text())

    def ask(self, url: str, ending: threading.Event) -> None:
        tensor = {"name": "i", "datatype": "INT64", "shape": [1], "data": [1]}
        with httpx.Client(timeout=30) as client:
            while not ending.is_set():
                got = client.post(f"{url}/v2/models/m/infer", json={"inputs": [tensor]})
                self.statuses.append(got.status_code)
                self.versions.append(got.json().get("model_version", ""))


@pytest.fixture
def up(tmp_path: Path, plimsoll: Plimsoll) -> Iterator[Up]:
    yield Up(tmp_path, plimsoll)
    plimsoll("down")


def test_services_stay_up_while_versions_are_trained_and_move_to_them_without_a_failed_request(up: Up) -> None:
    (up.directory / "rows.txt").write_text("10")
    first = answer(up.plimsoll("up", "--json"))
    url = first["services"]["m"]["url"]
    assert first["services"]["m"]["model"] == "m@1"
    assert first["run"]
    assert "is up already" in up.plimsoll("up").stdout

    ending = threading.Event()
    asking = threading.Thread(target=up.ask, args=(url, ending))
    asking.start()
    try:
        told = up.train(11)
        assert told["state"] == "done"
        assert [(each["old"], each["new"], each["moved"]) for each in told["taken_over"]] == [("1", "2", True)]
        missed = up.train(5)
        assert missed["state"] == "failed"
        assert "goes on with m@2: m@3 is not accepted: accuracy is 0.1" in missed["taken_over"][0]["text"]
        time.sleep(0.3)
    finally:
        ending.set()
        asking.join()
    assert set(up.statuses) == {200}
    assert list(dict.fromkeys(up.versions)) == ["1", "2"]
    seen = up.plimsoll("status")
    assert seen.returncode == 1
    assert "requests: 100 % to m@2" in seen.stdout
    assert "m@3 is not accepted: accuracy is 0.1, expected >= 0.5" in seen.stdout
    assert answer(up.plimsoll("status", "--json"))["services"]["m"]["url"] == url
    assert "serve/m 0-kept │" in up.plimsoll("logs", "m").stdout
    assert "0-kept" not in up.plimsoll("logs").stdout
    refused = up.plimsoll("run", "--watch")
    assert refused.returncode == 1
    assert "plimsoll up keeps m up already" in refused.stderr

    os.kill(up.record()["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 20
    while (dead := up.plimsoll("status")).returncode != 6:
        assert time.monotonic() < deadline, dead.stdout
    assert "m cannot be reached: the keeper (process" in dead.stdout
    assert "it was killed; `plimsoll up` brings it back at the same address" in dead.stdout
    again = answer(up.plimsoll("up", "--json"))
    assert again["run"] is None
    assert again["services"]["m"]["url"] == url
    assert again["services"]["m"]["model"] == "m@2"
    assert answer(up.plimsoll("down", "--json"))["services"] == ["m"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/v2/health/live")
    assert up.plimsoll("down").stdout == "nothing is running on this machine\n"


def test_a_version_waits_for_its_promotion_where_the_file_says_so_and_a_forced_one_is_remembered_as_such(
    tmp_path: Path, plimsoll: Plimsoll
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.listen()
        spec = SPEC.replace("{model: m}", f"{{model: m, rollout: promote, port: {port}}}")
        up = Up(tmp_path, plimsoll, spec)
        (tmp_path / "rows.txt").write_text("10")
        refused = plimsoll("up")
        assert refused.returncode == 2
        line = next(
            n for n, text in enumerate((tmp_path / "plimsoll.yaml").read_text().splitlines(), 1) if "port" in text
        )
        assert f"plimsoll.yaml:{line}:" in refused.stderr
        assert f"port {port} is taken by process {os.getpid()}" in refused.stderr
    try:
        assert f"m is up at http://127.0.0.1:{port}" in plimsoll("up").stdout
        (waiting,) = up.train(12)["taken_over"]
        assert not waiting["moved"]
        assert waiting["text"] == "service m goes on with m@1: m@2 waits for `plimsoll promote m@2`"
        forced = plimsoll("promote", "m@2", "--force", "--steps", "50,100")
        assert forced.returncode == 0, forced.stderr
        assert "forced, whatever the comparison says" in forced.stdout
        seen = plimsoll("status").stdout
        assert "moved from m@1 to m@2 by plimsoll promote, whatever the comparison said (--force)" in seen
    finally:
        assert "ended m" in plimsoll("down", "m").stdout
    assert plimsoll("status").returncode == 0
