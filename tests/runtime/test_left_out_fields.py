"""Fields that are null, numbers that are missing, and requests without JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from plimsoll.runtime.server.fronts.open_inference_http import raw_binary
from plimsoll.runtime.tensors import BadTensor

from .conftest import Server
from .inference_requests import GOOD, INFER, changed


@pytest.mark.parametrize(
    "body",
    [
        {**GOOD, "parameters": None, "outputs": None},
        {**GOOD, "parameters": {"binary_data_output": None, "explain": None}},
        {**GOOD, "outputs": [{"name": "score", "parameters": None}, {"name": "label", "parameters": {"a": None}}]},
        {**GOOD, "outputs": [{"name": "score", "parameters": {"binary_data": None}}, {"name": "label"}]},
        changed(parameters=None),
        changed(parameters={"binary_data_size": None}),
        changed(parameters=None, data=[[3, 1], [1, 1]]),
        {"id": None, "extra": None, **changed(parameters={"content_type": None}, data=[[3, 1], [1, 1]])},
    ],
)
def test_null_stands_for_a_field_that_is_not_set(linear: Server, body: dict[str, Any]) -> None:
    answer = linear.client.post(INFER, json=body)

    assert answer.status_code == 200, answer.text
    assert [output["data"] for output in answer.json()["outputs"]] == [[1.0, -1.0], [1, 0]]


@pytest.mark.parametrize("missing", ["null", "NaN"])
@pytest.mark.parametrize("data", ["[%s,1,1,1]", "[[%s,1],[1,1]]"])
def test_a_missing_number_is_not_a_number_to_the_model(linear: Server, missing: str, data: str) -> None:
    body = json.dumps(changed(data="here")).replace('"here"', data % missing)
    answer = linear.client.post(INFER, content=body)

    assert answer.status_code == 200, answer.text
    assert answer.json()["outputs"][0]["data"] == [None, -1.0]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (np.array([3, 1, 1, 1], "<f4").tobytes(), 200, b'"shape":[2,1]'),
        (b"", 200, b'"shape":[0,1]'),
        (b"1234567", 400, b"input 'x': the body has 7 bytes, no multiple of the 8 that shape [-1, 2] needs"),
    ],
)
def test_a_body_without_json_is_the_only_input(linear: Server, body: bytes, status: int, says: bytes) -> None:
    answer = linear.client.post(INFER, content=body, headers={"Inference-Header-Content-Length": "0"})

    assert answer.status_code == status, answer.text
    assert says in answer.content
    if body and status == 200:
        length = int(answer.headers["Inference-Header-Content-Length"])
        assert np.frombuffer(answer.content[length : length + 8], "<f4").tolist() == [1.0, -1.0]


def test_a_body_without_json_is_refused_by_a_model_with_more_inputs(identity: Server) -> None:
    answer = identity.client.post(INFER, content=b"1234", headers={"Inference-Header-Content-Length": "0"})

    assert answer.status_code == 400
    assert "is for models with one input; 'm' has 13" in answer.json()["error"]


@pytest.mark.parametrize(
    ("shape", "length", "found"),
    [((-1, -1), 8, [1, 2]), ((-1, 3, -1), 24, [1, 3, 2]), ((2, -1), 16, [2, 2]), ((1, 2), 8, [1, 2]), ((), 4, [])],
)
def test_the_number_of_bytes_tells_the_open_dimension(shape: tuple[int, ...], length: int, found: list[int]) -> None:
    assert raw_binary._shape_of(shape, length, 4) == found


@pytest.mark.parametrize("shape", [(3, -1, -1), (-1, -1, -1), (-1, 0)])
def test_a_shape_that_no_number_of_bytes_tells_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadTensor):
        raw_binary._shape_of(shape, 12, 4)
