"""Long JSON lists become the same arrays as short ones, whatever their layout and wherever they are cut."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.runtime import long_lists
from plimsoll.runtime.long_lists import array_from
from plimsoll.runtime.server.fronts.open_inference_http import long_body
from plimsoll.runtime.tensors import BadTensor, from_json

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "BOOL": st.booleans(),
    "INT64": st.integers(-(2**63), 2**63 - 1),
    "FP32": st.none() | st.integers(-99, 99) | st.floats(allow_nan=False, allow_infinity=False, width=32),
    "BYTES": st.text(st.sampled_from('a",[]\\{}: \né'), max_size=8),
}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_lists, "PIECE", 7)
    monkeypatch.setattr(long_body, "WINDOW", 7)


def nested(values: list[Any], shape: list[int]) -> list[Any]:
    for size in reversed(shape[1:]):
        values = [values[start : start + size] for start in range(0, len(values), size)]
    return values


def wanted() -> None:
    """Somebody always waits for the result."""


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_a_list_is_read_as_the_decoder_of_short_ones_reads_it(data: st.DataObject) -> None:
    """Also one with a byte changed: both refuse it, or both take it for the same."""
    datatype = data.draw(st.sampled_from(sorted(VALUES)))
    shape = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    count = math.prod(shape)
    values = data.draw(st.lists(VALUES[datatype], min_size=count, max_size=count))
    layout = nested(values, shape) if data.draw(st.booleans()) else values
    indent = data.draw(st.sampled_from([None, 1]))
    text = bytearray(json.dumps(layout, indent=indent, ensure_ascii=data.draw(st.booleans())).encode())
    if data.draw(st.booleans()) and len(text) > 2:
        place = data.draw(st.integers(1, len(text) - 2))
        text[place : place + data.draw(st.integers(0, 1))] = data.draw(
            st.sampled_from([b"", b"[", b"]", b",", b"1", b" "])
        )

    def of(read: Any) -> object:
        try:
            return repr(read().tolist())
        except (BadTensor, msgspec.DecodeError, UnicodeDecodeError):
            return "refused"

    short = of(lambda: from_json(msgspec.json.decode(bytes(text)), datatype, shape))
    assert of(lambda: array_from(memoryview(text), datatype, shape, wanted)) == short


@given(texts=st.lists(VALUES["BYTES"], min_size=1, max_size=9), parameters=st.booleans())
def test_a_long_body_is_split_at_its_data_and_nowhere_else(texts: list[str], parameters: bool) -> None:
    tensor: dict[str, Any] = {"name": 'a "data":[', "data": texts, "shape": [len(texts)]}
    tensor |= {"parameters": {}} if parameters else {}
    numbers = {"data": [1, 2], "name": "b"}
    body = json.dumps({"inputs": [tensor, numbers], "id": "]"}).encode()

    around, lists = long_body.split(memoryview(body), wanted)

    assert [json.loads(bytes(each)) for each in lists] == [texts, [1, 2]]
    assert json.loads(around) == {"inputs": [tensor | {"data": [0]}, numbers | {"data": [1]}], "id": "]"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"[" * 40 + b"]" * 40, "nested deeper than 32"),
        (b"[1,2,,3]", "datatype FP32|nothing at the place"),
        (b"[1,2,3,]", "nothing at the place of element 3|datatype"),
        (b"[[1,2]3,[4]]", "beside each other"),
        (b"[1,2,3,1e39]", "outside the range of FP32: element 3"),
        (b"[1,2,3]", "data has 3 elements, shape .4. needs 4"),
    ],
)
def test_a_long_list_is_refused_with_a_reason(text: bytes, says: str) -> None:
    with pytest.raises(BadTensor, match=says):
        array_from(memoryview(text), "FP32", [4], wanted)


def test_a_text_that_would_take_long_in_one_step_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_lists, "LONGEST_TEXT", 100)
    monkeypatch.setattr(long_body, "LONGEST_TEXT", 100)
    text = json.dumps(["short", "a" * 400]).encode()

    with pytest.raises(BadTensor, match="without a comma; send what is longer in binary"):
        array_from(memoryview(b'["' + b"a" * 400 + b'","short"]'), "BYTES", [2], wanted)
    with pytest.raises(BadTensor, match="a text of more than 100 bytes; send what is longer in binary"):
        long_body.split(memoryview(b'{"inputs":[{"data":' + text + b"}]}"), wanted)


def test_numbers_that_only_python_writes_are_missing_or_infinite() -> None:
    array = array_from(memoryview(b"[1, NaN, -Infinity, 2]"), "FP32", [4], wanted)

    assert array.tolist() == pytest.approx([1, math.nan, -math.inf, 2], nan_ok=True)


def test_reading_ends_when_nobody_waits_any_more() -> None:
    def nobody() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        array_from(memoryview(b"[1,2]"), "FP32", [2], nobody)
