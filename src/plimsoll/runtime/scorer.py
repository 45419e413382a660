"""`python -m plimsoll.runtime.scorer`: score a table in chunks, and continue after an earlier attempt."""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.errors import MissingExtra, PlimsollError

if TYPE_CHECKING:
    from plimsoll.runtime.tables import ArrowColumn
    from plimsoll.runtime.tensors import Array

    Cells = range | Sequence[str] | ArrowColumn | Array

CHUNK_ROWS = 10_000


def main() -> None:
    """Score the table; exit 1 with a one-line reason on failure."""
    parser = argparse.ArgumentParser(prog="python -m plimsoll.runtime.scorer", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="an ONNX file")
    parser.add_argument("--input", type=Path, required=True, help="a .csv or .parquet file")
    parser.add_argument("--output", type=Path, required=True, help="the directory for predictions and metrics.json")
    parser.add_argument("--checkpoint", type=Path, required=True, help="the directory for finished chunks")
    parser.add_argument("--chunk-rows", type=int, default=CHUNK_ROWS)
    arguments = parser.parse_args()
    try:
        score(arguments.model, arguments.input, arguments.output, arguments.checkpoint, arguments.chunk_rows)
    except PlimsollError as error:
        sys.stderr.write(f"error: {error.on_one_line()}\n")
        sys.exit(1)


def score(model_path: Path, table_path: Path, output: Path, checkpoint: Path, chunk_rows: int) -> None:
    """Write `predictions` in the table's own format, and metrics.json. Raises PlimsollError."""
    began = time.monotonic()
    try:
        from plimsoll.runtime.model import OnnxModel
        from plimsoll.runtime.predictions import prediction_columns
        from plimsoll.runtime.tables import Table, model_inputs
    except ImportError:
        raise MissingExtra("serve", "batch scoring") from None
    from plimsoll.runtime.tensors import BadTensor

    table = Table(table_path)
    model = OnnxModel(model_path, "model")
    parts = _prepare_parts(checkpoint, model_path, table_path, chunk_rows)
    done = len(list(parts.glob(f"part-*{table_path.suffix}")))
    if done:
        print(f"continuing after {done * chunk_rows} rows that are already scored", flush=True)
    rows = 0
    for number, chunk in enumerate(table.chunks(chunk_rows)):
        rows = chunk.first + chunk.rows
        part = parts / f"part-{number:08d}{table_path.suffix}"
        if part.exists():
            continue
        try:
            outputs = model.run(model_inputs(chunk, model.spec, table_path))
        except BadTensor as error:
            raise PlimsollError(str(error), where=f"{table_path}, rows from {chunk.first}") from error
        columns: dict[str, Cells] = {"row": range(chunk.first, rows)}
        if "id" in chunk.columns:
            columns["id"] = chunk.columns["id"]
        _write_part(part, columns | prediction_columns(outputs, model.spec, chunk.rows))
        print(f"{rows} rows scored", flush=True)
    final = output / f"predictions{table_path.suffix}"
    _join_parts(sorted(parts.glob(f"part-*{table_path.suffix}")), final)
    metrics = {
        "rows": rows,
        "seconds": round(time.monotonic() - began, 3),
        "resumed_rows": min(rows, done * chunk_rows),
    }
    (output / "metrics.json").write_text(json.dumps(metrics), encoding="ascii")


def _prepare_parts(checkpoint: Path, model: Path, table: Path, chunk_rows: int) -> Path:
    """Create the directory of parts. Removes parts of another model, table or chunk size."""
    stat = table.stat()
    about = f"{_digest(model)} {table} {stat.st_size} {stat.st_mtime_ns} {chunk_rows}"
    parts, mark = checkpoint / "parts", checkpoint / "parts-of"
    if not (mark.exists() and mark.read_text(encoding="utf-8") == about):
        shutil.rmtree(parts, ignore_errors=True)
        checkpoint.mkdir(parents=True, exist_ok=True)
        _replace_file(mark, about.encode())
    parts.mkdir(exist_ok=True)
    return parts


def _write_part(path: Path, columns: Mapping[str, Cells]) -> None:
    temporary = path.with_name(f".{path.name}")
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        arrays = {
            name: values if isinstance(values, pyarrow.Array) else _arrow_array(values)
            for name, values in columns.items()
        }
        pyarrow.parquet.write_table(pyarrow.table(arrays), temporary)
    else:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*(_shortest_text(values) for values in columns.values()), strict=True))
    with temporary.open("rb") as written:
        os.fsync(written.fileno())
    temporary.replace(path)


def _arrow_array(values: Cells) -> ArrowColumn:
    import pyarrow

    array: ArrowColumn = pyarrow.array(list(values) if isinstance(values, range) else values)
    return array


def _shortest_text(values: Cells) -> Iterable[object]:
    """The shortest text that parses to the same number: float32 must not be written with the digits of float64."""
    import numpy as np

    is_float = isinstance(values, np.ndarray) and values.dtype.kind == "f"
    return np.asarray(values).astype(str) if is_float else values


def _join_parts(parts: list[Path], final: Path) -> None:
    """Concatenate all parts, with one part in memory at a time."""
    temporary = final.with_name(f".{final.name}")
    if final.suffix == ".parquet":
        _join_parquet(parts, temporary)
    else:
        with temporary.open("wb") as file:
            for number, part in enumerate(parts):
                with part.open("rb") as source:
                    header = source.readline()
                    file.write(header if number == 0 else b"")
                    shutil.copyfileobj(source, file)
    temporary.replace(final)


def _join_parquet(parts: list[Path], final: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    writer = None
    for part in parts:
        rows = pyarrow.parquet.read_table(part)
        writer = writer or pyarrow.parquet.ParquetWriter(final, rows.schema)
        writer.write_table(rows)
    if writer is None:
        pyarrow.parquet.write_table(pyarrow.table({"row": pyarrow.array([], pyarrow.int64())}), final)
    else:
        writer.close()


def _replace_file(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}")
    temporary.write_bytes(content)
    temporary.replace(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()
