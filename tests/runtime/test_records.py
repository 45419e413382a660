"""Records as rows: what they become, and the one sentence for each thing that is wrong with them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from plimsoll.errors import PlimsollError
from plimsoll.runtime.prediction_input import read_input, read_standard_input
from plimsoll.runtime.specs import ModelSpec, TensorSpec
from plimsoll.runtime.tables.layout import AnyTable, input_layout
from plimsoll.runtime.tensors import Array

MATRIX = ModelSpec(
    name="risk",
    inputs=(TensorSpec(name="x", datatype="FP32", shape=(-1, 2)),),
    outputs=(),
    features=("bmi", "age"),
)
NAMED = ModelSpec(
    name="mixed",
    inputs=(
        TensorSpec(name="city", datatype="BYTES", shape=(-1, 1)),
        TensorSpec(name="rooms", datatype="INT32", shape=(-1,)),
        TensorSpec(name="lift", datatype="BOOL", shape=(-1,)),
    ),
    outputs=(),
)


def given(text: str) -> AnyTable:
    found = read_standard_input(io.BytesIO(text.encode()))
    assert not isinstance(found, dict)
    return found


def tensors(text: str, spec: ModelSpec = MATRIX) -> dict[str, Array]:
    table = given(text)
    layout = input_layout(table, spec)
    (chunk,) = table.chunks(100, layout.names)
    return layout.tensors(chunk)


@pytest.mark.parametrize(
    "text",
    [
        '[{"age": 41, "bmi": 1.5}, {"bmi": null, "age": 42, "note": "x"}]',
        '{"age": 41, "bmi": 1.5, "note": [1]}\n\n{"bmi": null, "age": 42}\n',
        '[\n  {"age": 41,\n   "bmi": 1.5},\n  {"bmi": null, "age": 42}\n]',
        "age,bmi\n41,1.5\n42,\n",
    ],
    ids=["a list", "lines", "a list over lines", "CSV"],
)
def test_a_list_lines_and_csv_give_the_same_rows(text: str) -> None:
    np.testing.assert_array_equal(tensors(text)["x"], np.array([[1.5, 41], [np.nan, 42]], dtype=np.float32))


def test_one_record_is_a_table_of_one_row() -> None:
    assert tensors('{"bmi": 1,\n "age": 2}')["x"].tolist() == [[1.0, 2.0]]


def test_strings_whole_numbers_and_booleans_keep_their_kinds() -> None:
    found = tensors('[{"city": "Bern", "rooms": 4, "lift": true}]', NAMED)
    assert found["city"].tolist() == [["Bern"]]
    assert found["rooms"].tolist() == [4]
    assert found["lift"].tolist() == [True]


def test_a_request_of_the_protocol_stays_one(tmp_path: Path) -> None:
    request = '{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]}'
    assert isinstance(read_standard_input(io.BytesIO(request.encode())), dict)
    (tmp_path / "r.json").write_text(request)
    assert isinstance(read_input(tmp_path / "r.json"), dict)


def test_files_of_lines_are_read_by_their_names(tmp_path: Path) -> None:
    for name in ("r.jsonl", "r.ndjson"):
        (tmp_path / name).write_text('{"bmi": 1}\n{"bmi": 2}\n')
        table = read_input(tmp_path / name)
        assert not isinstance(table, dict)
        assert [chunk.rows for chunk in table.chunks(1)] == [1, 1]


@pytest.mark.parametrize(
    ("text", "spec", "place", "words"),
    [
        ('[{"bmi": 1}]', MATRIX, "standard input", "lacks the columns age"),
        ('[{"bmi": 1, "age": 2}, {"bmi": 1}]', MATRIX, "standard input, record 2", "the field 'age' is missing here"),
        ('{"bmi": 1, "age": 2}\n\n{"bmi": 1}', MATRIX, "standard input:3", "the field 'age' is missing here"),
        ('[{"bmi": 1, "age": 2}, {"bmi": "1", "age": 2}]', MATRIX, "record 2", "column 'bmi' is '1' here, the model"),
        ('[{"bmi": true, "age": 2}]', MATRIX, "record 1", "column 'bmi' is True here, the model expects FP32"),
        ('[{"bmi": [1], "age": 2}]', MATRIX, "record 1", "column 'bmi' is [1] here, the model expects FP32"),
        ('[{"bmi": 1e39, "age": 2}]', MATRIX, "record 1", "outside the range of FP32"),
        ('[{"city": 4, "rooms": 4, "lift": true}]', NAMED, "record 1", "column 'city' is 4 here, the model expects BYTES"),
        ('[{"city": "a", "rooms": 4.5, "lift": true}]', NAMED, "record 1", "column 'rooms' is 4.5 here"),
        ('[{"city": "a", "rooms": 4, "lift": 1}]', NAMED, "record 1", "column 'lift' is 1 here, the model expects BOOL"),
        ('[{"city": null, "rooms": 4, "lift": true}]', NAMED, "record 1", "column 'city' is missing here"),
        ('[{"bmi": 1}, 7]', MATRIX, "standard input, record 2", "this is a number, expected an object of columns"),
        ('{"bmi": 1}\n{"bmi": 2}\n[3]', MATRIX, "standard input:3", "this line is a list, expected an object"),
        ('{"bmi": 1}\n{"bmi": 2\n', MATRIX, "standard input:2:10", "this is not JSON: "),
        ('[{"bmi": 1},\n {"bmi" 2}]', MATRIX, "standard input:2:9", "this is not JSON: "),
        ("", MATRIX, "standard input", "there is nothing to read"),
        ("age,bmi\n1,2\n3\n", MATRIX, "standard input:3", "this row has 1 cells, expected 2"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence_with_its_place(text: str, spec: ModelSpec, place: str, words: str) -> None:
    with pytest.raises(PlimsollError) as caught:
        tensors(text, spec)
    assert place in caught.value.where
    assert words in caught.value.message
    assert "\n" not in caught.value.message
