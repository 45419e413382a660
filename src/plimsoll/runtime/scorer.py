"""`python -m plimsoll.runtime.scorer`: score a table in chunks, and continue after an earlier attempt."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.errors import MissingExtra, PlimsollError
from plimsoll.runtime.model_digests import digests_in

if TYPE_CHECKING:
    from plimsoll.runtime.model import OnnxModel
    from plimsoll.runtime.predictions import OutputLayout
    from plimsoll.runtime.scored_parts import Cells
    from plimsoll.runtime.tables.layout import InputLayout
    from plimsoll.runtime.tables.table import Table
    from plimsoll.runtime.tensors import Array

CHUNK_ROWS = 10_000
CHUNK_CELLS = 4_000_000
"""Cells of a chunk of a wide table: a cell of CSV takes about 70 bytes of memory."""
OWN_COLUMNS = ("row", "id")


def main() -> None:
    """Score the table; exit 1 with a one-line reason on failure."""
    parser = argparse.ArgumentParser(prog="python -m plimsoll.runtime.scorer", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="an ONNX file")
    parser.add_argument("--input", type=Path, required=True, help="a .csv or .parquet file, or a directory of them")
    parser.add_argument("--output", type=Path, required=True, help="the directory for predictions and metrics.json")
    parser.add_argument("--checkpoint", type=Path, required=True, help="the directory for finished chunks")
    parser.add_argument(
        "--digest",
        action="append",
        default=[],
        metavar="FILE=sha256:…",
        help="what a file of the model must have; may be given several times",
    )
    parser.add_argument("--label", help="the column of the table with the true labels, to write labelled.csv")
    parser.add_argument("--prediction", help="the column of the result that is compared with the labels")
    parser.add_argument("--chunk-rows", type=int, help=f"default: {CHUNK_ROWS}, fewer for a wide table")
    arguments = parser.parse_args()
    try:
        score(
            arguments.model,
            arguments.input,
            arguments.output,
            arguments.checkpoint,
            arguments.chunk_rows,
            digests=digests_in(arguments.digest),
            label=arguments.label,
            prediction=arguments.prediction,
        )
    except PlimsollError as error:
        sys.stderr.write(f"error: {error.on_one_line()}\n")
        sys.exit(1)


def score(
    model_path: Path,
    table_path: Path,
    output: Path,
    checkpoint: Path,
    chunk_rows: int | None = None,
    *,
    digests: Mapping[str, str] | None = None,
    label: str | None = None,
    prediction: str | None = None,
) -> None:
    """Write `predictions` in the table's own format, and metrics.json. Raises PlimsollError.

    With `label`, labelled.csv has the label and the prediction of each row that has one.

    The columns that the model takes and those of the result are decided before the first chunk. `digests` are those
    that the files of the model must have, by path.
    """
    began = time.monotonic()
    try:
        from plimsoll.runtime.fixed_batch import run_rows
        from plimsoll.runtime.labelled import FILE, HEADER, labels_of
        from plimsoll.runtime.model import OnnxModel
        from plimsoll.runtime.scored_parts import ScoredParts, arrow_schema
        from plimsoll.runtime.tables.layout import input_layout
        from plimsoll.runtime.tables.table import Table
        from plimsoll.runtime.tensors import BadTensor
    except ImportError:
        raise MissingExtra("serve", "batch scoring") from None

    table = Table(table_path)
    model = OnnxModel(model_path, "model", files=digests)
    size = chunk_rows or max(1, min(CHUNK_ROWS, CHUNK_CELLS // len(table.names)))
    layout = input_layout(table, model.spec)
    columns_of, sample = _result_layout(model, table, layout)
    schema = arrow_schema(table, sample, with_id="id" in table.names)
    labels = labels_of(table, label, prediction, columns_of.names) if label is not None else None
    parts = ScoredParts(checkpoint, model.digest, table, size, f"{labels.label} {labels.prediction}" if labels else "")
    rows, resumed, scored = 0, 0, False
    for number, chunk in enumerate(table.chunks(size, layout.names | {"id"} | ({labels.label} if labels else set()))):
        rows = chunk.first + chunk.rows
        if parts.has(number):
            resumed += chunk.rows
            continue
        if resumed and not scored:
            print(f"continuing after {resumed} rows that are already scored", flush=True)
        scored = True
        try:
            outputs = run_rows(model.run, model.spec, layout.tensors(chunk), chunk.rows)
        except BadTensor as error:
            raise PlimsollError(str(error), where=f"{table_path}, rows from {chunk.first}") from error
        columns: dict[str, Cells] = {"row": range(chunk.first, rows)}
        if "id" in chunk.columns:
            columns["id"] = chunk.columns["id"]
        result = columns | columns_of.table(outputs, chunk.rows)
        if labels is not None:
            parts.write_labelled(number, labels.pairs(dict(chunk.columns), result))
        parts.write(number, result, schema)
        print(f"{rows} rows scored", flush=True)
    parts.join(output / f"predictions{table.suffix}", schema)
    if labels is not None:
        parts.join_labelled(output / FILE, HEADER)
    metrics = {"rows": rows, "seconds": round(time.monotonic() - began, 3), "resumed_rows": resumed}
    (output / "metrics.json").write_text(json.dumps(metrics), encoding="ascii")


def _result_layout(model: OnnxModel, table: Table, layout: InputLayout) -> tuple[OutputLayout, Mapping[str, Array]]:
    """The columns of the result, and an example of them.

    The first row is scored twice and three times over: what then has two and three values has one for each row.
    """
    import numpy as np

    from plimsoll.runtime.fixed_batch import run_rows
    from plimsoll.runtime.predictions import declared_outputs, output_layout
    from plimsoll.runtime.tensors import BadTensor

    chunk = next(table.chunks(1, layout.names), None)
    row = _blank_row(layout) if chunk is None else layout.tensors(chunk)
    try:
        two, three = (
            run_rows(model.run, model.spec, {name: np.repeat(array, n, axis=0) for name, array in row.items()}, n)
            for n in (2, 3)
        )
        with_rows = [name for name, array in two.items() if array.shape[:1] == (2,) and three[name].shape[:1] == (3,)]
    except BadTensor as error:
        if chunk is not None:
            raise PlimsollError(str(error), where=chunk.place(0)) from error
        # The model says nothing about a row of zeros, so its declaration must do.
        two = declared_outputs(model.spec)
        with_rows = list(two)
    columns_of = output_layout(two, model.spec, with_rows, OWN_COLUMNS)
    return columns_of, columns_of.table(two, 2)


def _blank_row(layout: InputLayout) -> dict[str, Array]:
    import numpy as np

    from plimsoll.runtime.tensors import dtype_of

    row = {}
    for tensor in layout.inputs:
        dtype = np.dtype(dtype_of(tensor.datatype))
        inner = [len(layout.columns[tensor.name]) if size < 0 else size for size in tensor.shape[1:]]
        row[tensor.name] = np.full((1, *inner), "" if dtype.kind == "O" else 0, dtype=dtype)
    return row


if __name__ == "__main__":
    main()
