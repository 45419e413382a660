"""Readings become requests, or are refused with a reason; whatever comes, nothing else happens."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.edge.readings import BadReading, request_of

INPUTS = [
    {"name": "load", "datatype": "FP32", "shape": [-1]},
    {"name": "pair", "datatype": "INT64", "shape": [-1, 2]},
]


def test_a_reading_with_the_inputs_by_name_is_one_row() -> None:
    request = request_of(b'{"load": 0.5, "pair": [1, 2]}', INPUTS)
    assert request["inputs"] == [
        {"name": "load", "datatype": "FP32", "shape": [1], "data": [0.5]},
        {"name": "pair", "datatype": "INT64", "shape": [1, 2], "data": [1, 2]},
    ]


def test_a_reading_of_several_rows_keeps_them() -> None:
    request = request_of(b'{"load": [1, 2, 3], "pair": [[1, 2], [3, 4], [5, 6]]}', INPUTS)
    assert request["inputs"] == [
        {"name": "load", "datatype": "FP32", "shape": [3], "data": [1, 2, 3]},
        {"name": "pair", "datatype": "INT64", "shape": [3, 2], "data": [1, 2, 3, 4, 5, 6]},
    ]


def test_a_request_of_the_protocol_goes_through_as_it_is() -> None:
    request = {"inputs": [{"name": "load", "datatype": "FP32", "shape": [1], "data": [1.0]}]}
    assert request_of(json.dumps(request).encode(), INPUTS) == request


@pytest.mark.parametrize(
    ("payload", "word"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[1]", "no object"),
        (b"{}", "'load' is missing"),
        (b'{"load": 1, "pair": [1, 2], "x": 1}', "no input 'x'"),
        (b'{"load": [[1]], "pair": [1, 2]}', "has 1 dimensions, and the reading 2"),
        (b'{"load": 1, "pair": [[1], [1, 2]]}', "different lengths"),
        (b'{"load": null, "pair": [1, 2]}', "neither a number"),
        (b'{"load": {"a": 1}, "pair": [1, 2]}', "neither a number"),
        (b'{"load": ' + b"[" * 40 + b"]" * 40 + b', "pair": 1}', "nested"),
    ],
)
def test_what_is_no_reading_is_refused_with_a_reason(payload: bytes, word: str) -> None:
    with pytest.raises(BadReading, match=word):
        request_of(payload, INPUTS)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON | st.fixed_dictionaries({"load": JSON, "pair": JSON}))
def test_any_json_is_a_request_whose_data_fit_their_shape_or_refused(value: object) -> None:
    try:
        request = request_of(json.dumps(value).encode(), INPUTS)
    except BadReading:
        return
    for each in request["inputs"]:  # type: ignore[attr-defined]
        if (
            isinstance(each, dict)
            and set(each) == {"name", "datatype", "shape", "data"}
            and each["name"] in ("load", "pair")
        ):
            size = 1
            for number in each["shape"]:
                size *= number
            assert size == len(each["data"])
