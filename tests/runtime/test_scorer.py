from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plimsoll.errors import PlimsollError
from plimsoll.runtime.predict import predict_rows
from plimsoll.runtime.tables import Table

from .conftest import Server, linear_model

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


@pytest.mark.parametrize(
    ("content", "says", "place"),
    [
        ("left,right\n1,2\n1,\n", "column 'right' is ''", ":3"),
        ("left,right\n1,two\n", "column 'right' is 'two'", ":2"),
        ("left,right\n1,nan\n", "column 'right' is 'nan'", ":2"),
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


def test_a_file_of_another_type_is_not_a_table(tmp_path: Path) -> None:
    with pytest.raises(PlimsollError, match=r"\.csv or \.parquet"):
        Table(tmp_path / "rows.xlsx")


def test_the_service_answers_httpx_as_it_answers_our_client(linear: Server) -> None:
    assert httpx.get(f"{linear.url}/v2/health/ready").json() == {"ready": True}
