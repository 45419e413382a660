"""`predict` against servers that take less than the table has, and those that answer in their own way."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plimsoll.errors import RequestError
from plimsoll.runtime.client import RequestTooLarge
from plimsoll.runtime.predict import TablePredictions, predict_rows
from plimsoll.runtime.tables.table import Table


class Summing(BaseHTTPRequestHandler):
    """A server of one model, which adds the values of each row. It closes without reading what is too large."""

    most_bytes = 1 << 30
    batch = -1
    asked: list[int]
    features: list[str]

    def do_GET(self) -> None:
        inputs = [{"name": "x", "datatype": "FP32", "shape": [self.batch, len(self.features)]}]
        outputs = [
            {"name": "sum", "datatype": "FP64", "shape": [self.batch]},
            {"name": "version", "datatype": "INT64", "shape": [1]},
        ]
        self.answer(200, {"name": "m", "inputs": inputs, "outputs": outputs, "parameters": {"features": self.features}})

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        if length > self.most_bytes:
            self.close_connection = True
            self.answer(413, "too large")
            return
        (tensor,) = json.loads(self.rfile.read(length))["inputs"]
        rows, width = tensor["shape"]
        if self.batch not in (-1, rows):
            self.answer(400, {"error": f"the batch is {self.batch}"})
            return
        self.asked.append(rows)
        sums = [sum(value or 0 for value in tensor["data"][n * width : (n + 1) * width]) for n in range(rows)]
        self.answer(200, {"outputs": self.outputs(sums)})

    def outputs(self, sums: list[float]) -> list[dict[str, Any]]:
        return [
            {"name": "sum", "datatype": "FP64", "shape": [len(sums)], "data": sums},
            {"name": "version", "datatype": "INT64", "shape": [1], "data": [7]},
        ]

    def answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode() if not isinstance(content, str) else content.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def served(**settings: object) -> Iterator[tuple[str, list[int]]]:
    """A server with these settings: its address, and the rows of each request that it answered."""
    asked: list[int] = []
    handler = type("Handler", (Summing,), {"asked": asked, "features": ["a", "b"], **settings})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def table(path: Path, rows: int, width: int = 2) -> Path:
    names = [chr(ord("a") + n) for n in range(2)] if width == 2 else [f"c{n}" for n in range(width)]
    path.write_text(",".join(names) + "\n" + "".join(",".join([str(row)] * width) + "\n" for row in range(rows)))
    return path


def test_a_wide_table_is_sent_in_requests_of_few_rows(tmp_path: Path) -> None:
    width = 5000
    with served(features=[f"c{n}" for n in range(width)]) as (url, asked):
        found = list(predict_rows(url, "m", table(tmp_path / "t.csv", 120, width)))
    assert [row["sum"] for row in found] == [row * width for row in range(120)]
    assert asked == [50, 50, 20]


def test_what_a_server_refuses_as_too_large_is_sent_in_halves(tmp_path: Path) -> None:
    with served(most_bytes=3000) as (url, asked):
        found = list(predict_rows(url, "m", table(tmp_path / "t.csv", 1000)))
    assert [row["sum"] for row in found] == [2 * row for row in range(1000)]
    assert len(asked) > 1
    assert sum(asked) == 1000


def test_a_row_that_is_too_large_alone_is_an_error(tmp_path: Path) -> None:
    with served(most_bytes=10) as (url, _), pytest.raises(RequestTooLarge, match="status 413"):
        list(predict_rows(url, "m", table(tmp_path / "t.csv", 3)))


def test_missing_values_are_sent_as_null(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,\nNA,2\n")
    with served() as (url, _):
        assert [row["sum"] for row in predict_rows(url, "m", tmp_path / "t.csv")] == [1, 2]


def test_an_id_is_shown_as_its_text_also_in_a_binary_column(tmp_path: Path) -> None:
    columns = {"id": pa.array([b"first", None, b"\xff"]), "a": [1, 2, 3], "b": [0, 0, 0]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    with served() as (url, _):
        assert [row["id"] for row in predict_rows(url, "m", tmp_path / "t.parquet")] == ["first", None, "\ufffd"]


@pytest.mark.parametrize("rows", [1, 5])
def test_an_output_of_the_whole_request_is_no_column(tmp_path: Path, rows: int) -> None:
    with served() as (url, _):
        found = list(predict_rows(url, "m", table(tmp_path / "t.csv", rows)))
    assert [list(row) for row in found] == [["row", "sum"]] * rows


def test_a_model_with_a_fixed_batch_is_asked_in_its_batches(tmp_path: Path) -> None:
    with served(batch=4) as (url, asked):
        found = list(predict_rows(url, "m", table(tmp_path / "t.csv", 10)))
    assert [row["sum"] for row in found] == [2 * row for row in range(10)]
    assert asked == [4, 4, 4]


def test_a_table_without_rows_has_the_columns_of_the_model(tmp_path: Path) -> None:
    with served() as (url, asked):
        rows = TablePredictions(url, "m", Table(table(tmp_path / "t.csv", 0)))
        assert list(rows) == []
    assert rows.names == ["row", "sum"]
    assert asked == []


@pytest.mark.parametrize(
    "outputs", [[{"name": "sum"}], [{"name": "sum", "datatype": "INT8", "shape": [2], "data": [1, 300]}]]
)
def test_an_answer_that_is_not_of_the_protocol_is_an_error(tmp_path: Path, outputs: list[dict[str, Any]]) -> None:
    with (
        served(outputs=lambda _, __: outputs) as (url, _),
        pytest.raises(RequestError, match="in another form than the protocol"),
    ):
        list(predict_rows(url, "m", table(tmp_path / "t.csv", 2)))
