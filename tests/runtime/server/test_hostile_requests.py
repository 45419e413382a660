"""Requests that no client means well with: each is refused with a reason, and none is the server's defect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plimsoll.runtime.server.data_plane import MOST_TEXTS
from plimsoll.runtime.server.refusals import BadInput
from plimsoll.runtime.tensors import LARGEST_EMPTY, BadTensor, count_of, json_of_python
from tests.runtime.conftest import Server, identity_model, linear_model
from tests.runtime.server.direct_call import DirectCall, plane_of

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


def test_more_texts_than_others_can_wait_for_are_refused(tmp_path: Path) -> None:
    plane = plane_of(identity_model(tmp_path / "m.onnx"))
    texts = np.full((1, MOST_TEXTS + 1), "a", dtype=np.object_)

    with pytest.raises(BadInput, match=f"has {MOST_TEXTS + 1} texts, at most {MOST_TEXTS}"):
        asyncio.run(plane.infer_long(DirectCall({"in_BYTES": texts})))


@pytest.mark.parametrize("rows", [1, 5000, 300_000])
@pytest.mark.parametrize("binary", [None, "score", "label"])
def test_a_response_of_any_length_and_form_is_the_same(linear: Server, rows: int, binary: str | None) -> None:
    values = np.arange(2 * rows, dtype="<f4").reshape(-1, 2) % 7
    tensor = {"name": "x", "datatype": "FP32", "shape": [rows, 2], "parameters": {"binary_data_size": 8 * rows}}
    outputs = [{"name": name, "parameters": {"binary_data": name == binary}} for name in ("score", "label")]
    head = json.dumps({"id": "7", "inputs": [tensor], "outputs": outputs if binary else None}).encode()
    headers = {"inference-header-content-length": str(len(head))}

    answer = linear.client.post(INFER, content=head + values.tobytes(), headers=headers)

    length = int(answer.headers.get("inference-header-content-length", len(answer.content)))
    told, rest = json.loads(answer.content[:length]), answer.content[length:]
    assert (told["id"], told["model_version"], [each["shape"] for each in told["outputs"]]) == (
        "7",
        "3",
        [[rows, 1]] * 2,
    )
    score = values[:, 0] - 2 * values[:, 1]
    for output, expected in zip(told["outputs"], (score, (score > 0).astype("<i8")), strict=True):
        if output["name"] == binary:
            assert rest == expected.tobytes()
        else:
            assert output["data"] == expected.tolist()
