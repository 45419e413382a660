from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from plimsoll.registry.references import Reference
from tests.servers import registry as registry_process

TYPES = {
    "BOOL": TensorProto.BOOL,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}


def save(path: Path, graph: onnx.GraphProto, **properties: list[str]) -> Path:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {name: json.dumps(words) for name, words in properties.items()})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def linear_model(path: Path) -> Path:
    """A model with two features, a score and a label of two classes."""
    weights = np.array([[1.0], [-2.0]], dtype=np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["score"]),
            helper.make_node("Greater", ["score", "zero"], ["above"]),
            helper.make_node("Cast", ["above"], ["label"], to=TensorProto.INT64),
        ],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [
            helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1]),
            helper.make_tensor_value_info("label", TensorProto.INT64, [None, 1]),
        ],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.float32(0).reshape(()), "zero")],
    )
    return save(path, graph, features=["left", "right"], classes=["below", "above"])


def identity_model(path: Path) -> Path:
    """A model that returns each datatype unchanged."""
    nodes = [helper.make_node("Identity", [f"in_{name}"], [f"out_{name}"]) for name in TYPES]
    graph = helper.make_graph(
        nodes,
        "identity",
        [helper.make_tensor_value_info(f"in_{name}", kind, [None, None]) for name, kind in TYPES.items()],
        [helper.make_tensor_value_info(f"out_{name}", kind, [None, None]) for name, kind in TYPES.items()],
    )
    return save(path, graph)


def slow_model(path: Path) -> Path:
    """A slow model: a chain of products of large matrices, half a second or more on one core."""
    size = 1024
    nodes = [helper.make_node("MatMul", ["x" if n == 0 else f"h{n}", "w"], [f"h{n + 1}"]) for n in range(24)]
    weights = (np.eye(size) * 0.5).astype(np.float32)
    graph = helper.make_graph(
        nodes,
        "slow",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, size])],
        [helper.make_tensor_value_info("h24", TensorProto.FLOAT, [None, size])],
        [numpy_helper.from_array(weights, "w")],
    )
    return save(path, graph)


def scaled_model(path: Path, factor: float) -> Path:
    """A model that multiplies rows of two columns by a factor."""
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "factor"], ["y"])],
        "scaled",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])],
        [numpy_helper.from_array(np.float32(factor).reshape(()), "factor")],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    return save(path, graph)


def lookup_model(path: Path, work: int = 0) -> Path:
    """A model that looks up rows by index and fails for an index outside its table. `work` adds matrix products."""
    size = 256
    nodes = [helper.make_node("Gather", ["table", "i"], ["h0"])]
    nodes += [helper.make_node("MatMul", [f"h{n}", "w"], [f"h{n + 1}"]) for n in range(work)]
    table = np.arange(10, dtype=np.float32)[:, None] * np.ones(size, dtype=np.float32)
    graph = helper.make_graph(
        nodes,
        "lookup",
        [helper.make_tensor_value_info("i", TensorProto.INT64, [None])],
        [helper.make_tensor_value_info(f"h{work}", TensorProto.FLOAT, [None, size])],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.eye(size, dtype=np.float32), "w")],
    )
    return save(path, graph)


TOKEN = Path(__file__).with_name("admin_token.txt")
"""The file with the token of every server of these tests."""
ADMIN = {"authorization": f"Bearer {TOKEN.read_text().strip()}"}


class Server:
    """A server process. `model` is a file to serve as version 3 of `m`; None when `arguments` name the models."""

    def __init__(self, model: Path | None, directory: Path, *arguments: str) -> None:
        ready = directory / "ready.json"
        ready.unlink(missing_ok=True)
        argv = [sys.executable, "-m", "plimsoll.runtime.server", "--ready-file", str(ready)]
        argv += ["--admin-token-file", str(TOKEN)]
        if model is not None:
            argv += ["--name", "m", "--version", "3", "--model", str(model)]
        self.process = subprocess.Popen([*argv, *arguments], stderr=subprocess.PIPE)
        deadline = time.monotonic() + 50
        while not ready.exists():
            assert self.process.poll() is None, self.process.stderr and self.process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        told = json.loads(ready.read_text())
        self.url = told["url"]
        self.grpc = told.get("grpc", "")
        self.client = httpx.Client(base_url=self.url, timeout=30, headers=ADMIN)

    def connect(self) -> socket.socket:
        host, port = self.url.removeprefix("http://").split(":")
        return socket.create_connection((host, int(port)), timeout=30)

    def ask(self, raw: bytes, *more: bytes) -> bytes:
        """Send bytes and read until the server closes the connection."""
        with self.connect() as connection:
            for part in (raw, *more):
                connection.sendall(part)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def metric(self, start: str) -> float:
        """The value of the first line of the metrics page with this prefix; 0 without such a line."""
        for line in self.client.get("/metrics").text.splitlines():
            if line.startswith(start):
                return float(line.rpartition(" ")[2])
        return 0.0

    def stop(self) -> int:
        self.client.close()
        self.process.terminate()
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            if self.process.stderr:
                self.process.stderr.close()


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("linear")
    server = Server(linear_model(directory / "model.onnx"), directory)
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("identity")
    server = Server(identity_model(directory / "model.onnx"), directory)
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    """A real registry."""
    with registry_process(tmp_path_factory.mktemp("registry")) as reference:
        yield reference


def until(holds: Callable[[], bool], limit: float = 50) -> None:
    deadline = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < deadline, f"what was waited for did not come within {limit} s"
        time.sleep(0.01)
