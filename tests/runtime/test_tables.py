"""What a table says to a model, and the place of what it does not say."""

from __future__ import annotations

import datetime
import os
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
from plimsoll.runtime.tables import csv_file as csv_module
from plimsoll.runtime.tables.chunk import python_values
from plimsoll.runtime.tables.csv_file import LARGEST_CELL
from plimsoll.runtime.tables.layout import input_layout
from plimsoll.runtime.tables.table import Table
from plimsoll.runtime.tensors import Array


def spec(datatype: str = "FP32", *features: str, width: int | None = None, name: str = "x") -> ModelSpec:
    matrix = TensorSpec(name=name, datatype=datatype, shape=(-1, width or len(features)))
    return ModelSpec(name="m", inputs=(matrix,), outputs=(), features=features)


def matrix(path: Path, model: ModelSpec, rows: int = 2) -> Array:
    table = Table(path)
    layout = input_layout(table, model)
    return np.concatenate([layout.tensors(chunk)[model.inputs[0].name] for chunk in table.chunks(rows)])


def refusal(path: Path, model: ModelSpec) -> PlimsollError:
    with pytest.raises(PlimsollError) as caught:
        matrix(path, model)
    return caught.value


def csv_file(directory: Path, text: str) -> Path:
    path = directory / "t.csv"
    path.write_text(text, encoding="utf-8")
    return path


def parquet(path: Path, columns: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    ("text", "datatype", "says", "line"),
    [
        ("a,b\n1,2\n1,two\n", "FP32", "column 'b' is 'two' here, the model expects FP32", 3),
        ("a,b\n1,1_5\n", "FP32", "column 'b' is '1_5' here, the model expects FP32", 2),
        ("a,b\n1,1e39\n", "FP32", "column 'b' is '1e39' here, outside the range of FP32", 2),
        ("a,b\n1,inf\n", "FP64", "column 'b' is 'inf' here, the model expects FP64", 2),
        ("a,b\n1,70000\n", "FP16", "column 'b' is '70000' here, outside the range of FP16", 2),
        ("a,b\n1,2\n1,\n", "INT64", "column 'b' is missing here, the model expects INT64, which cannot be missing", 3),
        ("a,b\n1,2.5\n", "INT64", "column 'b' is '2.5' here, the model expects INT64", 2),
        (
            "a,b\n1,9223372036854775808\n",
            "INT64",
            "column 'b' is '9223372036854775808' here, outside the range of INT64",
            2,
        ),
        ("a,b\n1,1e999999999\n", "INT64", "column 'b' is '1e999999999' here, outside the range of INT64", 2),
        ("a,b\n1,-1\n", "UINT8", "column 'b' is '-1' here, outside the range of UINT8", 2),
        ("a,b\nTrue,yes\n", "BOOL", "column 'b' is 'yes' here, the model expects BOOL", 2),
        ("a,b\n\n1,2\n\n\n1,x\n", "FP32", "column 'b' is 'x' here, the model expects FP32", 6),
        ('a,b,c\n1,2,"two\nlines"\n1,x,\n', "FP32", "column 'b' is 'x' here, the model expects FP32", 4),
    ],
)
def test_a_cell_of_csv_is_refused_with_its_line_and_column(
    tmp_path: Path, text: str, datatype: str, says: str, line: int
) -> None:
    error = refusal(csv_file(tmp_path, text), spec(datatype, "a", "b"))
    assert (error.message, error.where) == (says, f"{tmp_path}/t.csv:{line}")


MOMENT = datetime.datetime(2026, 1, 1)


@pytest.mark.parametrize(
    ("values", "datatype", "says", "row"),
    [
        (pa.array([1, 2, None]), "INT64", "column 'b' is missing here, the model expects INT64, which cannot be missing", 2),
        (pa.array([1.0, float("nan")]), "INT32", "column 'b' is missing here, the model expects INT32, which cannot be missing", 1),
        (pa.array([True, None]), "BOOL", "column 'b' is missing here, the model expects BOOL, which cannot be missing", 1),
        (pa.array(["x", None]), "BYTES", "column 'b' is missing here, the model expects BYTES, which cannot be missing", 1),
        (pa.array([b"x", b"\xff"]), "BYTES", r"column 'b' is b'\xff' here, the model expects BYTES", 1),
        (pa.array([1, 1, 300]), "INT8", "column 'b' is 300 here, outside the range of INT8", 2),
        (pa.array([1.0, 1.5]), "INT8", "column 'b' is 1.5 here, the model expects INT8", 1),
        (pa.array([0, 2]), "BOOL", "column 'b' is 2 here, the model expects BOOL", 1),
        (pa.array([1.0, 1e39]), "FP32", "column 'b' is 1e+39 here, outside the range of FP32", 1),
    ],
)  # fmt: skip
def test_a_cell_of_parquet_is_refused_with_its_row_and_column(
    tmp_path: Path, values: pa.Array, datatype: str, says: str, row: int
) -> None:
    path = parquet(tmp_path / "t.parquet", {"b": values})
    error = refusal(path, spec(datatype, "b"))
    assert (error.message, error.where) == (says, f"{path}, row {row}")


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize(
    ("values", "datatype", "says"),
    [
        (pa.array([MOMENT], pa.timestamp("us")), "FP32", "has the type timestamp[us], the model expects FP32"),
        (pa.array([MOMENT], pa.timestamp("ms", "UTC")), "INT64", "has the type timestamp[ms, tz=UTC], the model expects INT64"),
        (pa.array([MOMENT.date()]), "FP32", "has the type date32[day], the model expects FP32"),
        (pa.array([MOMENT.date()]), "BYTES", "has the type date32[day], the model expects BYTES"),
        (pa.array(["1"]), "FP32", "has the type string, the model expects FP32"),
        (pa.array([1]), "BYTES", "has the type int64, the model expects BYTES"),
        (pa.array([[1.0]]), "FP32", "has the type list<item: double>, the model expects FP32"),
    ],
)  # fmt: skip
def test_a_type_without_a_conversion_is_refused_also_without_rows(
    tmp_path: Path, values: pa.Array, datatype: str, says: str, rows: int
) -> None:
    path = parquet(tmp_path / "t.parquet", {"b": values.slice(0, rows)})
    assert refusal(path, spec(datatype, "b")).message.replace("element", "item") == f"column 'b' {says}"


def test_empty_lines_of_csv_are_no_rows(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "\n\na,b\n\n1,2\r\n\r\n3,4\n\n")
    np.testing.assert_array_equal(matrix(path, spec("FP32", "b", "a")), [[2, 1], [4, 3]])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_two_columns_of_one_name_are_no_table(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"t.{kind}"
    if kind == "csv":
        path.write_text("a,b,a\n1,2,3\n")
    else:
        pq.write_table(pa.table([pa.array([1.0])] * 3, names=["a", "b", "a"]), path)
    error = refusal(path, spec("FP32", "a", "b"))
    assert "'a'" in str(error)
    assert "once" in str(error)


def test_a_file_that_breaks_off_is_an_error_of_the_table(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", {"a": np.random.default_rng(1).normal(size=50_000)})
    whole = path.read_bytes()
    path.write_bytes(whole[:2000] + bytes(200_000) + whole[202_000:])
    assert "cannot read the table" in refusal(path, spec("FP64", "a")).message


def test_a_pipe_is_no_table(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t.csv")
    assert "must be a .csv or .parquet file" in refusal(tmp_path / "t.csv", spec("FP32", "a")).message


# Which columns.


def test_the_numeric_columns_are_those_of_the_whole_file(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a,b\n" + "1,x\n" * 3 + "y,2\n")
    assert "has 0 numeric columns" in refusal(path, spec(width=1)).message
    path = csv_file(tmp_path, "a,b\n" + "1,x\n" * 3 + ",2\n")
    np.testing.assert_array_equal(matrix(path, spec(width=1)), [[1], [1], [1], [np.nan]])


def test_a_column_without_any_value_counts_when_the_model_takes_it(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a,b,c\n1,,x\n2,,y\n")
    np.testing.assert_array_equal(matrix(path, spec(width=1)), [[1], [2]])
    np.testing.assert_array_equal(matrix(path, spec(width=2)), [[1, np.nan], [2, np.nan]])
    assert "takes 3" in refusal(path, spec(width=3)).message


def test_a_column_of_parquet_is_numeric_by_its_type(tmp_path: Path) -> None:
    columns = {"day": pa.array([MOMENT.date()]), "code": ["7"], "a": [1.5], "b": pa.array([2], pa.int8())}
    path = parquet(tmp_path / "t.parquet", columns)
    np.testing.assert_array_equal(matrix(path, spec(width=2)), [[1.5, 2]])


def test_a_wide_input_with_the_name_of_a_column_takes_the_numeric_columns(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "x,y\n1,2\n")
    np.testing.assert_array_equal(matrix(path, spec(width=2, name="x")), [[1, 2]])


def test_inputs_of_several_types_take_the_columns_of_their_names(tmp_path: Path) -> None:
    inputs = [("n", "INT64", (-1, 1)), ("t", "BYTES", (-1,)), ("f", "FP32", (-1, 1, 1))]
    model = ModelSpec(name="m", inputs=tuple(TensorSpec(name=n, datatype=d, shape=s) for n, d, s in inputs), outputs=())
    table = Table(csv_file(tmp_path, "f,t,n\n,,9007199254740993\n"))
    (chunk,) = table.chunks(5)
    tensors = input_layout(table, model).tensors(chunk)
    assert tensors["n"].tolist() == [[2**53 + 1]]
    assert tensors["t"].tolist() == [""]
    np.testing.assert_array_equal(tensors["f"], [[[np.nan]]])


# Directories.


def test_a_directory_of_parts_is_one_table(tmp_path: Path) -> None:
    table = tmp_path / "t.parquet"
    parquet(table / "part-1.parquet", {"b": [3.0], "a": [1.0]})
    parquet(table / "part-0.parquet", {"a": [1, 2, None], "b": [2.0, 3.0, 4.0]})
    (table / "_SUCCESS").touch()
    (table / "_temporary").mkdir()
    parquet(table / "_temporary/part-9.parquet", {"z": [1.0]})
    (table / ".part-0.parquet.crc").write_bytes(b"crc")
    read = Table(table)
    assert [(chunk.first, chunk.rows) for chunk in read.chunks(2)] == [(0, 2), (2, 1), (3, 1)]
    np.testing.assert_array_equal(matrix(table, spec("FP32", "a", "b")), [[1, 2], [2, 3], [np.nan, 4], [1, 3]])
    error = refusal(table, spec("INT8", "a"))
    assert error.where == f"{table}/part-0.parquet, row 2"


def test_parts_of_csv_each_have_the_names(tmp_path: Path) -> None:
    for name, text in [("0", "a,b\n1,2\n"), ("1", "b,a\n4,3\n\n"), ("2", "")]:
        (tmp_path / f"part-{name}.csv").write_text(text)
    np.testing.assert_array_equal(matrix(tmp_path, spec("FP32", "a", "b")), [[1, 2], [3, 4]])
    np.testing.assert_array_equal(matrix(tmp_path, spec(width=2)), [[1, 2], [3, 4]])


def test_folders_of_a_partition_are_columns(tmp_path: Path) -> None:
    for folder, value in [("year=2025/kind=a%20b", 1.0), ("year=2026/kind=c", 2.0)]:
        parquet(tmp_path / "t.parquet" / folder / "part-0.parquet", {"a": [value]})
    np.testing.assert_array_equal(matrix(tmp_path / "t.parquet", spec("FP32", "year", "a")), [[2025, 1], [2026, 2]])
    assert matrix(tmp_path / "t.parquet", spec("BYTES", "kind")).tolist() == [["a b"], ["c"]]
    parquet(tmp_path / "t.parquet/year=__HIVE_DEFAULT_PARTITION__/kind=c/part-0.parquet", {"a": [3.0]})
    assert np.isnan(matrix(tmp_path / "t.parquet", spec("FP32", "year"))[-1, 0])
    assert "'year' is missing here" in refusal(tmp_path / "t.parquet", spec("BYTES", "year")).message


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"0.parquet": {"a": [1]}, "1.parquet": {"b": [1]}}, "1.parquet: this part has the columns b"),
        ({"0.parquet": {"a": [1]}, "a=1/1.parquet": {"a": [1]}}, "1.parquet: this part has the columns a, a"),
        ({}, "no .csv and no .parquet files"),
    ],
)
def test_a_directory_that_is_not_one_table_is_refused(
    tmp_path: Path, parts: dict[str, dict[str, Any]], says: str
) -> None:
    for name, columns in parts.items():
        parquet(tmp_path / name, columns)
    with pytest.raises(PlimsollError) as caught:
        Table(tmp_path)
    assert says in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["csv", "parquet"]))
def test_a_damaged_file_is_read_or_is_an_error_with_its_path(damaged: Path, data: st.DataObject, kind: str) -> None:
    content = bytearray((damaged / f"whole.{kind}").read_bytes())
    places = st.integers(0, len(content) - 1)
    for place, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=4)):
        content[place] = byte
    path = damaged / f"t.{kind}"
    path.write_bytes(content)
    inputs = tuple(
        TensorSpec(name=n, datatype=d, shape=(-1,)) for n, d in [("a", "FP32"), ("b", "BYTES"), ("c", "BYTES")]
    )
    try:
        table = Table(path)
        layout = input_layout(table, ModelSpec(name="m", inputs=inputs, outputs=()))
        for chunk in table.chunks(40):
            layout.tensors(chunk)
            python_values(chunk.columns["b"])
    except PlimsollError as error:
        assert str(path) in error.where


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a whole file of each kind."""
    directory = tmp_path_factory.mktemp("damaged")
    columns = {
        "a": [1.0, None, 3.0] * 20,
        "b": ["é", "x", "y"] * 20,
        "c": pa.array(["u", "v", "u"] * 20).dictionary_encode(),
    }
    parquet(directory / "whole.parquet", columns)
    (directory / "whole.csv").write_text("a,b,c\n" + '1,é,"u\nv"\n,x,y\n' * 20)
    return directory


def test_a_cell_may_be_longer_than_pythons_reader_takes_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "x" * 200_000 + ",1\n")

    (chunk,) = Table(path).chunks(10)

    assert python_values(chunk.columns["a"]) == ("x" * 200_000,)


def test_a_cell_beyond_the_limit_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b\n1,2\n"' + "x" * (LARGEST_CELL + 1) + "\n")

    with pytest.raises(PlimsollError, match=f"a cell has more than {LARGEST_CELL} characters") as refused:
        list(Table(path).chunks(10))
    assert refused.value.where == f"{path}:3"
    assert "quote" in refused.value.hint


def test_rows_of_long_cells_are_fewer_in_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_module, "LARGEST_CHUNK", 100)
    path = tmp_path / "t.csv"
    path.write_text("a\n" + "".join(f"{'x' * 60}{row}\n" for row in range(5)))

    chunks = list(Table(path).chunks(10))

    assert [(chunk.first, chunk.start, chunk.rows) for chunk in chunks] == [(0, 0, 2), (2, 2, 2), (4, 4, 1)]
    assert [str(cell)[-1] for chunk in chunks for cell in python_values(chunk.columns["a"])] == list("01234")
    assert chunks[-1].place(0) == f"{path}:6"
