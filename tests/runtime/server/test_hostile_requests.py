"""Requests that no client means well with: each is refused with a reason, and none is the server's defect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from plimsoll.runtime.tensors import LARGEST_EMPTY, BadTensor, count_of, json_of_python
from tests.runtime.conftest import Server, linear_model

INFER = "/v2/models/m/infer"


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("hostile")
    server = Server(linear_model(directory / "m.onnx"), directory)
    yield server
    assert server.stop() == 0


def body(data: str, more: str = "", shape: str = "[1, 2]") -> bytes:
    return f'{{"inputs": [{{"name": "x", "datatype": "FP32", "shape": {shape}, "data": {data}}}]{more}}}'.encode()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (body('[1, "\\ud800"]', ', "parameters": {"a": NaN}'), "in JSON"),
        (body("[1, NaN]", ', "id": "\\ud800"'), "in JSON"),
        (body("[NaN, 1e999]"), "beyond the range of numbers"),
        (body("[[NaN], [-1e400]]"), "beyond the range of numbers"),
        (body("[NaN, " + "9" * 5000 + "]"), "in JSON"),
        (body("[1, NaN]").decode().encode("utf-16"), "in JSON"),
    ],
)
def test_what_only_python_reads_is_no_more_than_nan_and_infinity(linear: Server, content: bytes, says: str) -> None:
    answer = linear.client.post(INFER, content=content)

    assert answer.status_code == 400, answer.text
    assert says in answer.json()["error"]


def test_an_infinite_number_reaches_the_model_as_it_is(linear: Server) -> None:
    answer = linear.client.post(INFER, content=body("[-Infinity, NaN, Infinity, 1]", shape="[2, 2]"))

    assert answer.status_code == 200
    assert answer.json()["outputs"][0]["data"] == [None, None]


@pytest.mark.parametrize("shape", [[0, 10**30], [2**62, 2**62, 0], [LARGEST_EMPTY + 1, 0], [2**21, 2**20]])
def test_a_shape_that_no_tensor_has_is_refused_before_anything_is_made_of_it(shape: list[int]) -> None:
    with pytest.raises(BadTensor, match="is larger than any tensor"):
        count_of(shape)


@pytest.mark.parametrize("binary", [False, True])
def test_a_request_with_such_a_shape_is_answered(linear: Server, binary: bool) -> None:
    tensor: dict[str, Any] = {"name": "x", "datatype": "FP32", "shape": [10**30, 2]}
    if binary:
        tensor["parameters"] = {"binary_data_size": 0}
    else:
        tensor["data"] = []
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"inference-header-content-length": str(len(head))} if binary else {}

    answer = linear.client.post(INFER, content=head, headers=headers)

    assert answer.status_code == 400
    assert "is larger than any tensor" in answer.json()["error"]


def test_an_empty_tensor_is_none_of_them(linear: Server) -> None:
    answer = linear.client.post(INFER, content=body("[]", shape="[0, 2]"))

    assert answer.status_code == 200
    assert [output["shape"] for output in answer.json()["outputs"]] == [[0, 1], [0, 1]]


@pytest.mark.parametrize("text", [b'"\xff"', b"1e309", b"[1, -1e309]"])
def test_python_reads_no_text_in_another_encoding_and_no_number_as_infinite(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"codec|beyond the range"):
        json_of_python(text)
