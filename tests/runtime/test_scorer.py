from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper, numpy_helper

from plimsoll.errors import PlimsollError
from plimsoll.runtime import scored_parts
from plimsoll.runtime.model_digests import digest_options
from plimsoll.runtime.predict import predict_rows
from plimsoll.runtime.scorer import score
from plimsoll.runtime.tables.table import Table

from .conftest import Server, linear_model, save

ROWS = 5000


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return linear_model(tmp_path / "model.onnx")


def table(path: Path, rows: int = ROWS) -> Path:
    values = np.random.default_rng(3).normal(size=(rows, 2)).astype(np.float32)
    columns: dict[str, Any] = {
        "id": [f"row-{n}" for n in range(rows)],
        "right": values[:, 1],
        "left": values[:, 0],
        "note": ["x"] * rows,
    }
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    else:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(
                zip(columns["id"], values[:, 1].astype(str), values[:, 0].astype(str), columns["note"], strict=True)
            )
    return path


def scorer(model: Path, path: Path, directory: Path, *arguments: str) -> list[str]:
    (directory / "out").mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "plimsoll.runtime.scorer", "--model", str(model), "--input", str(path)]
    return [*argv, "--output", str(directory / "out"), "--checkpoint", str(directory / "checkpoint"), *arguments]


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return found
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_batch_predicts_the_same_as_the_service(tmp_path: Path, model: Path, kind: str, linear: Server) -> None:
    path = table(tmp_path / f"rows.{kind}", 2500)
    subprocess.run(scorer(model, path, tmp_path, "--chunk-rows", "700"), check=True, stdout=subprocess.PIPE)
    scored = rows_of(tmp_path / "out" / f"predictions.{kind}")
    online = list(predict_rows(linear.url, "m", path))
    assert len(scored) == len(online) == 2500
    for batch, single in zip(scored, online, strict=True):
        assert int(str(batch["row"])) == single["row"]
        assert batch["id"] == single["id"]
        assert batch["label"] == single["label"]
        assert np.float32(batch["score"]) == np.float32(str(single["score"]))
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["rows"] == 2500


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_killed_batch_continues_without_scoring_rows_again(tmp_path: Path, model: Path, kind: str) -> None:
    path = table(tmp_path / f"rows.{kind}", 60_000)
    whole = tmp_path / "whole"
    subprocess.run(scorer(model, path, whole, "--chunk-rows", "500"), check=True, stdout=subprocess.PIPE)
    process = subprocess.Popen(scorer(model, path, tmp_path, "--chunk-rows", "500"), stdout=subprocess.DEVNULL)
    parts = tmp_path / "checkpoint" / "parts"
    deadline = time.monotonic() + 30
    while len(list(parts.glob("part-*"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = {part.name: part.stat().st_mtime_ns for part in parts.glob("part-*")}
    assert 5 <= len(before) < 120
    ended = subprocess.run(
        scorer(model, path, tmp_path, "--chunk-rows", "500"), check=True, capture_output=True, text=True
    )
    assert f"continuing after {len(before) * 500} rows" in ended.stdout
    after = {part.name: part.stat().st_mtime_ns for part in parts.glob("part-*")}
    assert {name: after[name] for name in before} == before
    name = f"predictions.{kind}"
    assert (tmp_path / "out" / name).read_bytes() == (whole / "out" / name).read_bytes()


def test_a_model_that_was_altered_scores_nothing(tmp_path: Path, model: Path) -> None:
    path = table(tmp_path / "t.csv", 3)
    digest = "sha256:" + hashlib.sha256(model.read_bytes()).hexdigest()
    good = scorer(model, path, tmp_path / "good", *digest_options({model: digest}))
    assert subprocess.run(good, check=False).returncode == 0

    model.write_bytes(linear_model(tmp_path / "other.onnx").read_bytes() + b"\0")
    ended = subprocess.run(
        scorer(model, path, tmp_path / "bad", *digest_options({model: digest})),
        check=False, capture_output=True, text=True,
    )  # fmt: skip

    assert ended.returncode == 1
    assert "was altered: its digest differs" in ended.stderr
    assert str(model) in ended.stderr
    assert not list((tmp_path / "bad" / "out").iterdir())


def test_parts_of_older_code_are_not_used(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = table(tmp_path / "t.csv", 8)
    scored(tmp_path, model, path)
    part = next((tmp_path / "checkpoint" / "parts").iterdir())
    part.write_text("0,row-0,old,0,below\n" * 4)
    assert any("old" in row.values() for row in scored(tmp_path, model, path))

    monkeypatch.setattr(scored_parts, "digest_of_scorer", lambda: "sha256:newer")

    assert not any("old" in row.values() for row in scored(tmp_path, model, path))


def test_parts_of_another_table_are_not_used(tmp_path: Path, model: Path) -> None:
    subprocess.run(scorer(model, table(tmp_path / "a.csv", 100), tmp_path), check=True, stdout=subprocess.PIPE)
    subprocess.run(scorer(model, table(tmp_path / "b.csv", 50), tmp_path), check=True, stdout=subprocess.PIPE)
    assert len(rows_of(tmp_path / "out" / "predictions.csv")) == 50


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path, model: Path) -> None:
    def peak(rows: int) -> int:
        """The peak memory of the process, read inside it: the value of wait4 includes the parent's peak at the fork."""
        path = table(tmp_path / f"rows-{rows}.csv", rows)
        argv = scorer(model, path, tmp_path / str(rows))
        code = "from plimsoll.runtime.scorer import main; main(); print(open('/proc/self/status').read())"
        ended = subprocess.run([sys.executable, "-c", code, *argv[3:]], capture_output=True, text=True, check=True)
        (line,) = [line for line in ended.stdout.splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024

    small, large = peak(20_000), peak(600_000)
    assert large - small < 60 << 20


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "says", "place"),
    [
        ("left,right\n1,2\n1,two\n", "column 'right' is 'two'", ":3"),
        ("left,right\n1,2,3\n", "this row has 3 cells", ":2"),
        ("left,other\n1,2\n", "lacks the columns right", ""),
        ("left,left\n1,2\n", "each once", ":1"),
        ("", "each once", ":1"),
    ],
)
def test_a_bad_cell_is_named_by_line_and_column(
    tmp_path: Path, model: Path, content: str, says: str, place: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(content)
    ended = subprocess.run(scorer(model, path, tmp_path), capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert says in ended.stderr
    assert f"rows.csv{place}" in ended.stderr
    assert "Traceback" not in ended.stderr


def output_model(path: Path, shape: Sequence[int | str | None], *, batch: int | None = None) -> Path:
    """A model that gives its input back, and `threshold`, which is one number however many rows there are."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["out"]), helper.make_node("Identity", ["half"], ["threshold"])],
        "outputs",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 1])],
        [
            helper.make_tensor_value_info("out", TensorProto.FLOAT, [batch, 1]),
            helper.make_tensor_value_info("threshold", TensorProto.FLOAT, shape),
        ],
        [numpy_helper.from_array(np.array([0.5], dtype=np.float32), "half")],
    )
    return save(path, graph, features=["a"])


def scored(directory: Path, model: Path, path: Path, rows: int = 4) -> list[dict[str, Any]]:
    output = directory / "out"
    output.mkdir(exist_ok=True)
    score(model, path, output, directory / "checkpoint", rows)
    (found,) = output.glob("predictions.*")
    return rows_of(found)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("shape", [[1], ["k"]])
def test_an_output_without_rows_is_a_column_of_no_chunk(
    tmp_path: Path, kind: str, rows: int, shape: list[int | str | None]
) -> None:
    path = tmp_path / f"t.{kind}"
    if kind == "csv":
        path.write_text("a\n" + "".join(f"{n}\n" for n in range(rows)))
    else:
        pq.write_table(pa.table({"a": [float(n) for n in range(rows)]}), path)
    found = scored(tmp_path, output_model(tmp_path / "model.onnx", shape), path)
    assert [sorted(row) for row in found] == [["out", "row"]] * rows
    assert [float(row["out"]) for row in found] == list(range(rows))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_without_rows_gives_the_columns_without_rows(tmp_path: Path, model: Path, kind: str) -> None:
    assert scored(tmp_path, model, table(tmp_path / f"t.{kind}", 0)) == []
    final = tmp_path / f"out/predictions.{kind}"
    if kind == "csv":
        assert final.read_text() == "row,id,score,label\n"
    else:
        types = {"row": pa.int64(), "id": pa.null(), "score": pa.float32(), "label": pa.string()}
        assert pq.read_schema(final) == pa.schema(types.items())


def test_a_model_that_fails_on_zeros_declares_the_columns_of_a_table_without_rows(tmp_path: Path) -> None:
    constants = {"far": np.array(99), "table": np.zeros((3, 2), dtype=np.float32)}
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "far"], ["place"]), helper.make_node("Gather", ["table", "place"], ["y"])],
        "fails",
        [helper.make_tensor_value_info("x", TensorProto.INT64, [None])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = save(tmp_path / "model.onnx", graph, classes=["no", "yes"])
    (tmp_path / "t.csv").write_text("x\n")
    assert scored(tmp_path, model, tmp_path / "t.csv") == []
    assert (tmp_path / "out/predictions.csv").read_text() == "row,y_no,y_yes\n"
    (tmp_path / "t.csv").write_text("x\n-99\n5\n")
    with pytest.raises(PlimsollError, match="rows from 0"):
        scored(tmp_path, model, tmp_path / "t.csv")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_missing_values_reach_the_model(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"t.{kind}"
    if kind == "csv":
        path.write_text('a\n1\n""\nNA\n')
    else:
        pq.write_table(pa.table({"a": [1.0, None, float("nan")]}), path)
    found = scored(tmp_path, output_model(tmp_path / "model.onnx", [1]), path)
    assert [str(float(row["out"])) for row in found] == ["1.0", "nan", "nan"]


def test_a_model_with_a_fixed_batch_scores_every_row_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n" + "".join(f"{n}\n" for n in range(11)))
    found = scored(tmp_path, output_model(tmp_path / "model.onnx", [1], batch=3), path)
    assert [float(row["out"]) for row in found] == list(range(11))


def test_a_directory_of_parts_is_scored_and_continued(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, rows in enumerate([5, 1, 4]):
        file = tmp_path / f"t.parquet/part-{number}.parquet"
        file.parent.mkdir(exist_ok=True)
        columns = {"a": [float(number)] * rows, "id": pa.array(range(rows), [pa.int64(), pa.int32()][number % 2])}
        pq.write_table(pa.table(columns), file)
    found = scored(tmp_path, output_model(tmp_path / "model.onnx", [1]), tmp_path / "t.parquet")
    assert [row["row"] for row in found] == list(range(10))
    assert [row["id"] for row in found] == [0, 1, 2, 3, 4, 0, 0, 1, 2, 3]
    assert [row["out"] for row in found] == [0] * 5 + [1] + [2] * 4
    (tmp_path / "checkpoint/parts/part-00000003.parquet").unlink()
    assert scored(tmp_path, tmp_path / "model.onnx", tmp_path / "t.parquet") == found
    assert "continuing after 6 rows" in capsys.readouterr().out
    assert json.loads((tmp_path / "out/metrics.json").read_text())["resumed_rows"] == 6


def test_labels_are_a_column_also_of_a_chunk_that_has_none_of_the_classes(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["class"])],
        "labels",
        [helper.make_tensor_value_info("x", TensorProto.INT64, [None])],
        [helper.make_tensor_value_info("class", TensorProto.INT64, [None])],
    )
    model = save(tmp_path / "model.onnx", graph, classes=["no", "yes"])
    pq.write_table(pa.table({"x": [1, 0, 7, -1]}), tmp_path / "t.parquet")
    found = scored(tmp_path, model, tmp_path / "t.parquet", rows=2)
    assert [row["label"] for row in found] == ["yes", "no", None, None]


def test_an_output_never_replaces_the_number_or_the_id_of_a_row(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["id"])],
        "id",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None])],
        [helper.make_tensor_value_info("id", TensorProto.FLOAT, [None])],
    )
    (tmp_path / "t.csv").write_text("id,x\nfirst,2.5\n")
    found = scored(tmp_path, save(tmp_path / "model.onnx", graph), tmp_path / "t.csv")
    assert found == [{"row": "0", "id": "first", "id_": "2.5"}]


def test_a_file_of_another_type_is_not_a_table(tmp_path: Path) -> None:
    with pytest.raises(PlimsollError, match=r"\.csv or \.parquet"):
        Table(tmp_path / "rows.xlsx")


def test_the_service_answers_httpx_as_it_answers_our_client(linear: Server) -> None:
    assert httpx.get(f"{linear.url}/v2/health/ready").json() == {"ready": True}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_labels_of_the_table_are_written_beside_the_predictions(tmp_path: Path, model: Path, kind: str) -> None:
    path = table(tmp_path / f"rows.{kind}", 90)
    marked = [{**row, "truth": None if n % 9 == 0 else "above"} for n, row in enumerate(rows_of(path))]
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(marked), path)
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, marked[0].keys())
            writer.writeheader()
            writer.writerows(marked)
    checkpoint, out = tmp_path / "checkpoint", tmp_path / "out"
    out.mkdir()
    score(model, path, out, checkpoint, 40, label="truth")
    scored = rows_of(out / f"predictions.{kind}")
    expected = [("above", row["label"]) for n, row in enumerate(scored) if n % 9]
    written = rows_of(out / "labelled.csv")
    assert [(row["label"], row["prediction"]) for row in written] == expected
    # A second attempt finds all chunks done.
    before = (out / "labelled.csv").read_bytes()
    score(model, path, out, checkpoint, 40, label="truth")
    assert (out / "labelled.csv").read_bytes() == before
    # Another column is compared anew.
    score(model, path, out, checkpoint, 40, label="truth", prediction="score")
    assert [row["prediction"] for row in rows_of(out / "labelled.csv")] != [row["prediction"] for row in written]


def test_labels_that_cannot_be_compared_are_told_before_anything_is_scored(tmp_path: Path, model: Path) -> None:
    path = table(tmp_path / "rows.csv", 3)
    for label, prediction, text in (("truth", None, "lacks the column 'truth'"), ("note", "p", "there is no 'p'")):
        with pytest.raises(PlimsollError, match=text):
            score(model, path, tmp_path, tmp_path / "checkpoint", label=label, prediction=prediction)
    assert not (tmp_path / "checkpoint").exists()
