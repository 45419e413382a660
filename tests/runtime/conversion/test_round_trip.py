"""Every column type, tensor type and source: a value arrives as what it was, or it is refused."""

from __future__ import annotations

import csv
import datetime
import json
import math
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.errors import PlimsollError
from plimsoll.runtime.specs import ModelSpec, TensorSpec
from plimsoll.runtime.tables.layout import input_layout
from plimsoll.runtime.tables.table import Table
from plimsoll.runtime.tensors import DTYPES, Array, BadTensor, from_json

DATATYPES = st.sampled_from(sorted(DTYPES))
WORDS = st.sampled_from(
    [
        "",
        " ",
        "1_5",
        "0x10",
        "١",
        "1,5",
        "True",
        "false",
        "NA",
        "nan",
        "null",
        "None",
        "inf",
        "-Infinity",
        "1e39",
        "65520",
        "9007199254740993",
        "1e999999999",
        "-0",
        "+7",
        " 7 ",
        "3.0",
        "3.5",
        ".5",
        "5.",
        "1e2",
        "2026-01-01",
    ]
)
INTEGERS = st.one_of(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1), st.sampled_from([2**53 + 1, 127, 128, 256]))
FLOATS = st.one_of(st.floats(), st.integers(-300, 300).map(float), st.sampled_from([1e39, 65520.0, 2.0**63, 2.0**64]))
MOMENTS = st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(2200, 1, 1))
ARROW: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.bool_(), st.booleans()),
    *((getattr(pa, f"int{bits}")(), st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)) for bits in (8, 16, 32, 64)),
    *((getattr(pa, f"uint{bits}")(), st.integers(0, 2**bits - 1)) for bits in (8, 16, 32, 64)),
    (pa.int64(), INTEGERS),
    (pa.float16(), st.floats(width=16).map(np.float16)),
    (pa.float32(), st.one_of(st.floats(width=32), st.integers(-300, 300).map(float))),
    (pa.float64(), FLOATS),
    (pa.decimal128(30, 4), st.decimals(-(10**24), 10**24, places=4)),
    (pa.decimal128(20, 0), st.integers(-(10**20) + 1, 10**20 - 1).map(Decimal)),
    *((kind, st.one_of(WORDS, st.text())) for kind in (pa.string(), pa.large_string())),
    (pa.dictionary(pa.int8(), pa.string()), WORDS),
    (pa.dictionary(pa.int8(), pa.int64()), INTEGERS),
    (pa.binary(), st.one_of(st.binary(), st.text().map(str.encode))),
    (pa.binary(3), st.binary(min_size=3, max_size=3)),
    *((pa.timestamp(unit), MOMENTS) for unit in ("ms", "us")),
    (pa.timestamp("us", "UTC"), st.datetimes(timezones=st.just(datetime.UTC))),
    (pa.date32(), st.dates()),
    (pa.time64("us"), st.times()),
    (pa.duration("us"), st.timedeltas(datetime.timedelta(0), datetime.timedelta(days=99))),
    (pa.list_(pa.float32()), st.lists(st.floats(width=32), max_size=2)),
    (pa.struct({"a": pa.int64()}), st.fixed_dictionaries({"a": INTEGERS})),
    (pa.null(), st.none()),
]
ARROW_COLUMNS = st.sampled_from(ARROW).flatmap(
    lambda pair: st.tuples(st.just(pair[0]), st.lists(st.one_of(pair[1], pair[1], st.none()), min_size=1, max_size=5))
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


def read(path: Path, datatype: str) -> Array | None:
    """The column `value` in chunks of two rows; `None` when it is refused."""
    spec = ModelSpec(name="m", inputs=(TensorSpec(name="value", datatype=datatype, shape=(-1,)),), outputs=())
    table = Table(path)
    try:
        layout = input_layout(table, spec)
        return np.concatenate([layout.tensors(chunk)["value"] for chunk in table.chunks(2)])
    except PlimsollError as error:
        assert "'value'" in error.message
        assert datatype in error.message
        return None


def same(value: object, element: Any, datatype: str) -> bool:
    """Whether an element of a tensor is what a value was: a second opinion, in exact numbers."""
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        return datatype.startswith("FP") and math.isnan(element)
    if datatype == "BYTES":
        return bool(element == (value.decode() if isinstance(value, bytes) else value)) and isinstance(element, str)
    if not isinstance(value, bool | int | float | Decimal | np.floating):
        return False
    if datatype.startswith("FP"):
        exact, found = Decimal(float(value) if isinstance(value, np.floating) else value), Decimal(float(element))
        with np.errstate(over="ignore"):
            beside = [np.nextafter(element, side) for side in (np.inf, -np.inf)]
        step = max(abs(Decimal(float(other)) - found) for other in beside if np.isfinite(other))
        # A hundredth more than half a step: a decimal number is rounded to a double first.
        return bool(np.isfinite(element)) and abs(found - exact) <= step * Decimal("0.51")
    return bool(element == value) and Decimal(int(element)) == Decimal(
        float(value) if isinstance(value, float) else int(value)
    )


def meaning(text: str, datatype: str) -> object:
    """What a cell of CSV says to a reader."""
    if datatype == "BYTES":
        return text
    plain = text.strip(" \t")
    if plain in {"", "NA", "nan", "null", "None"}:
        return None
    if datatype == "BOOL" and plain.lower() in {"true", "false"}:
        return plain.lower() == "true"
    if not plain.isascii() or "_" in plain:
        return text
    try:
        number = Decimal(plain)
    except InvalidOperation:
        return text
    return number if number.is_finite() and number.adjusted() < 400 else text


@settings(max_examples=200, deadline=None)
@given(
    cells=st.lists(st.one_of(WORDS, INTEGERS.map(str), FLOATS.map(repr), st.text()), min_size=1, max_size=5),
    datatype=DATATYPES,
)
def test_a_cell_of_csv_is_what_it_says_or_is_refused(directory: Path, cells: list[str], datatype: str) -> None:
    path = directory / "t.csv"
    with path.open("w", newline="", encoding="utf-8", errors="replace") as file:
        csv.writer(file).writerows([["value"], *([cell] for cell in cells)])
    with path.open(newline="", encoding="utf-8") as file:
        written = [row[0] for row in csv.reader(file)][1:]
    tensor = read(path, datatype)
    if tensor is not None:
        assert len(tensor) == len(written)
        for cell, element in zip(written, tensor, strict=True):
            assert same(meaning(cell, datatype), element, datatype), (cell, element)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(column=ARROW_COLUMNS, datatype=DATATYPES)
def test_a_value_of_parquet_is_the_same_or_is_refused(
    directory: Path, column: tuple[pa.DataType, list[Any]], datatype: str
) -> None:
    kind, values = column
    path = directory / "t.parquet"
    pq.write_table(pa.table({"value": pa.array(values, kind)}), path)
    tensor = read(path, datatype)
    if tensor is not None:
        assert tensor.dtype == DTYPES[datatype]
        assert len(tensor) == len(values)
        for value, element in zip(values, tensor, strict=True):
            assert same(value, element, datatype), (kind, value, element)


JSON = st.one_of(INTEGERS, st.integers(), FLOATS.filter(math.isfinite), st.booleans(), st.none(), WORDS, st.just({}))


@settings(max_examples=200, deadline=None)
@given(values=st.lists(JSON, min_size=1, max_size=5), datatype=DATATYPES)
def test_a_value_of_json_is_the_same_or_is_refused(values: list[Any], datatype: str) -> None:
    try:
        tensor = from_json(json.loads(json.dumps(values)), datatype, [len(values), 1])
    except BadTensor:
        return
    assert tensor.dtype == DTYPES[datatype]
    for value, element in zip(values, tensor[:, 0], strict=True):
        assert same(value, element, datatype), (value, element)


CONVERSIONS: list[tuple[pa.DataType, Sequence[Any], str, Sequence[Any]]] = [
    (pa.int64(), [2**53 + 1, -1], "INT64", [2**53 + 1, -1]),
    (pa.uint64(), [2**64 - 1], "UINT64", [2**64 - 1]),
    (pa.uint64(), [2**63], "FP64", [2.0**63]),
    (pa.int64(), [200, None], "FP32", [200.0, math.nan]),
    (pa.int64(), [0, 1], "BOOL", [False, True]),
    (pa.bool_(), [True, None], "FP32", [1.0, math.nan]),
    (pa.bool_(), [True, False], "INT8", [1, 0]),
    (pa.float64(), [3.0, -4.0], "INT16", [3, -4]),
    (pa.float64(), [0.1, None, math.nan], "FP32", [np.float32(0.1), math.nan, math.nan]),
    (pa.float16(), [np.float16(0.5), None], "FP16", [0.5, math.nan]),
    (pa.decimal128(10, 2), [Decimal("1.50"), None], "FP64", [1.5, math.nan]),
    (pa.decimal128(19, 0), [Decimal(2**62 + 1)], "INT64", [2**62 + 1]),
    (pa.decimal128(3, 1), [Decimal("1.0")], "BOOL", [True]),
    (pa.string(), ["a", ""], "BYTES", ["a", ""]),
    (pa.binary(), ["é".encode()], "BYTES", ["é"]),
    (pa.dictionary(pa.int8(), pa.string()), ["low", "high", "low"], "BYTES", ["low", "high", "low"]),
    (pa.dictionary(pa.int8(), pa.float64()), [2.5, None], "FP32", [2.5, math.nan]),
    (pa.null(), [None, None], "FP32", [math.nan, math.nan]),
]


@pytest.mark.parametrize(("kind", "values", "datatype", "expected"), CONVERSIONS, ids=str)
def test_parquet_has_these_conversions(
    tmp_path: Path, kind: pa.DataType, values: Sequence[Any], datatype: str, expected: Sequence[Any]
) -> None:
    pq.write_table(pa.table({"value": pa.array(values, kind)}), tmp_path / "t.parquet")
    tensor = read(tmp_path / "t.parquet", datatype)
    assert tensor is not None
    np.testing.assert_array_equal(tensor, np.array(expected, DTYPES[datatype]))


@pytest.mark.parametrize(
    ("cells", "datatype", "expected"),
    [
        (["9007199254740993", "-1", "+2", " 3 "], "INT64", [2**53 + 1, -1, 2, 3]),
        (["18446744073709551615"], "UINT64", [2**64 - 1]),
        (["3.0", "1e2", "-0"], "INT8", [3, 100, 0]),
        (["True", "false", "TRUE", "0", "1", "1.0"], "BOOL", [True, False, True, False, True, True]),
        (["1.5", '""', "NA", "nan", "null", " 2 ", ".5", "1e-3"], "FP32", [1.5, *[math.nan] * 4, 2, 0.5, 1e-3]),
        (["9007199254740993"], "FP32", [2.0**53]),
        ([" two ", '""', "None"], "BYTES", [" two ", "", "None"]),
    ],
)
def test_csv_has_these_conversions(tmp_path: Path, cells: list[str], datatype: str, expected: Sequence[Any]) -> None:
    (tmp_path / "t.csv").write_text("value\n" + "\n".join(cells) + "\n")
    tensor = read(tmp_path / "t.csv", datatype)
    assert tensor is not None
    np.testing.assert_array_equal(tensor, np.array(expected, DTYPES[datatype]))


@pytest.mark.parametrize(
    ("data", "datatype", "expected"),
    [
        ([1, 2.5, None, 2**70], "FP64", [1.0, 2.5, math.nan, 2.0**70]),
        ([[1.0, None], [2, 3]], "FP32", [1.0, math.nan, 2.0, 3.0]),
        ([2**64 - 1, 0], "UINT64", [2**64 - 1, 0]),
        ([-(2**63)], "INT64", [-(2**63)]),
        ([True, False], "BOOL", [True, False]),
        ([["a"], [""]], "BYTES", ["a", ""]),
    ],
)
def test_json_has_these_conversions(data: list[Any], datatype: str, expected: Sequence[Any]) -> None:
    tensor = from_json(data, datatype, [len(expected)])
    np.testing.assert_array_equal(tensor, np.array(expected, DTYPES[datatype]))
