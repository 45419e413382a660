"""Requests computed together: the times by themselves, then a server that does it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.runtime.model import OnnxModel
from plimsoll.runtime.server.served import rows_are_independent
from plimsoll.runtime.server.service_file import Batching
from tests.runtime.conftest import Server, linear_model, lookup_model, save

INFER = "/v2/models/m/infer"
SECONDS = st.floats(0, 10)


@given(wait=SECONDS, budget=SECONDS, expected=SECONDS, arrived=SECONDS)
def test_nobody_waits_longer_than_said_nor_beyond_the_budget(
    wait: float, budget: float, expected: float, arrived: float
) -> None:
    start = Batching(rows=8, wait=wait, budget=budget).latest_start(arrived, expected)
    assert arrived <= start <= arrived + wait
    assert start == arrived or start + expected <= arrived + budget + 1e-9


@pytest.fixture(scope="module")
def batching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("batching")
    arguments = ("--batch-rows", "16", "--batch-wait", "20")
    server = Server(lookup_model(directory / "m.onnx", work=1500), directory, *arguments)
    yield server
    assert server.stop() == 0


def ask_all(server: Server, rows: list[list[int]]) -> list[httpx.Response]:
    """Send all requests, each on a connection of its own, before any answer is read."""
    connections = [server.connect() for _ in rows]
    for connection, each in zip(connections, rows, strict=True):
        tensor = {"name": "i", "datatype": "INT64", "shape": [len(each)], "data": each}
        body = json.dumps({"inputs": [tensor]}).encode()
        head = f"POST {INFER} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
    answers = []
    for connection in connections:
        with connection:
            raw = b"".join(iter(lambda: connection.recv(65536), b""))  # noqa: B023 - read before the next
        head_, _, content = raw.partition(b"\r\n\r\n")
        answers.append(httpx.Response(int(head_[9:12]), content=content))
    return answers


def firsts(answer: httpx.Response) -> list[float]:
    output = answer.json()["outputs"][0]
    return [output["data"][row * output["shape"][1]] for row in range(output["shape"][0])]


def test_requests_are_computed_together_and_each_gets_its_own_rows(batching: Server) -> None:
    before = batching.metric("plimsoll_model_runs_total")
    rows = [[n % 10] * (1 + n % 3) for n in range(24)]
    answers = ask_all(batching, rows)
    assert [firsts(answer) for answer in answers] == [list(map(float, row)) for row in rows]
    assert batching.metric("plimsoll_model_runs_total") - before < 20


def test_one_bad_request_of_a_batch_does_not_harm_its_neighbours(batching: Server) -> None:
    rows = [[n] for n in range(10)]
    rows[4] = [1000]
    answers = ask_all(batching, rows)
    assert [answer.status_code for answer in answers] == [200] * 4 + [400] + [200] * 5
    assert "cannot compute" in answers[4].json()["error"]
    assert [firsts(answer) for n, answer in enumerate(answers) if n != 4] == [[float(n)] for n in range(10) if n != 4]


def test_rows_are_put_together_only_where_that_changes_nothing(tmp_path: Path) -> None:
    assert rows_are_independent(OnnxModel(linear_model(tmp_path / "linear.onnx"), "m"))
    assert not rows_are_independent(OnnxModel(centred_model(tmp_path / "centred.onnx"), "m"))


def centred_model(path: Path) -> Path:
    """Rows less their mean: each depends on all."""
    from onnx import TensorProto, helper

    def tensor(name: str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 2])

    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["x", "mean"], ["y"]),
    ]
    return save(path, helper.make_graph(nodes, "centred", [tensor("x")], [tensor("y")]))
