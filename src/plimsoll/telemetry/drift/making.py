"""The drift reference of a model from a table of training, made once and kept in a file with its digest."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plimsoll.errors import MissingExtra, PlimsollError
from plimsoll.files import replace_file
from plimsoll.telemetry.drift.reference import ModelReference, decode, encode
from plimsoll.telemetry.drift.statistics import special

if TYPE_CHECKING:
    from plimsoll.runtime.model import Model
    from plimsoll.runtime.tensors import Array

MOST_ROWS = 200_000
"""Rows of the table that are looked at, evenly spread over it: more would not make the reference better."""
CHUNK = 5_000
PARTS = ("part", "split")
HELD_OUT = {"test", "validation", "valid", "holdout", "held_out", "eval"}
"""A column of these names and values says which rows the model has not learnt from."""


def main() -> None:
    """Make a reference; exit 1 with one line of reason when it cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m plimsoll.telemetry.drift.making", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="an ONNX file")
    parser.add_argument("--name", required=True, help="the model's name in the protocol's paths")
    parser.add_argument("--digest", required=True, help="what the model is known by")
    parser.add_argument("--table", type=Path, required=True, help="a .csv or .parquet file of training")
    parser.add_argument("--data", default="", help="what the table is known by; its own SHA-256 otherwise")
    parser.add_argument("--output", type=Path, required=True, help="the file to write")
    told = parser.parse_args()
    try:
        try:
            from plimsoll.runtime.model import Model
        except ImportError:
            raise MissingExtra("serve", "a drift reference") from None
        special()
        made = make_reference(
            Model(told.model, told.name), told.table, digest=told.digest, data=told.data or _digest(told.table)
        )
        replace_file(told.output, encode(made))
        print(
            f"{len(made.inputs.features)} features and {len(made.outputs.features)} outputs of {made.inputs.rows} rows"
        )
    except PlimsollError as error:
        sys.stderr.write(f"error: {error.on_one_line()}\n")
        sys.exit(1)


def read_reference(path: Path) -> ModelReference:
    """A kept reference. Raises PlimsollError when it is not there or was altered."""
    try:
        return decode(path.read_bytes(), str(path))
    except OSError as error:
        raise PlimsollError(f"the drift reference cannot be read: {error.strerror}", where=str(path)) from error


def make_reference(model: Model, table: Path, *, digest: str, data: str) -> ModelReference:
    """Inputs as the table has them, outputs as the model gives them for it.

    Where the table says which rows were held out of training (a column `part` or `split` with `test` or `validation`),
    the outputs' reference is of those alone: a model is surer of rows that it has learnt than of any it meets later.
    """
    from plimsoll.telemetry.drift.building import build_reference

    inputs, outputs = _columns(model, table)
    if not inputs:
        raise PlimsollError("the drift reference has no rows", where=str(table))
    return ModelReference(
        model=digest,
        spec=model.spec,
        data=data,
        inputs=build_reference(_joined(inputs), "input"),
        outputs=build_reference(_joined(outputs), "output"),
    )


def _columns(model: Model, table: Path) -> tuple[list[Mapping[str, Array]], list[Mapping[str, Array]]]:
    from plimsoll.runtime.tables import Table, inputs_of
    from plimsoll.runtime.tensors import BadTensor
    from plimsoll.telemetry.drift.columns import input_columns, output_columns

    inputs: list[Mapping[str, Array]] = []
    outputs: list[Mapping[str, Array]] = []
    held_out: list[Mapping[str, Array]] = []
    read = Table(table)
    every = max(1, -(-sum(chunk.rows for chunk in read.chunks(CHUNK)) // MOST_ROWS))
    for chunk in read.chunks(CHUNK):
        tensors = {name: tensor[::every] for name, tensor in inputs_of(chunk, model.spec, table).items()}
        inputs.append(input_columns(tensors, model.spec))
        try:
            given = output_columns(model.run(tensors), model.spec)
        except BadTensor as error:
            raise PlimsollError(str(error), where=f"{table}, rows from {chunk.first}") from error
        outputs.append(given)
        kept = _held_out(chunk.columns)
        if kept is not None:
            held_out.append({name: column[kept[::every]] for name, column in given.items()})
    rows = sum(len(next(iter(columns.values()), ())) for columns in held_out)
    return inputs, held_out if rows >= CHUNK // 25 else outputs


def _held_out(columns: Mapping[str, Any]) -> Array | None:
    for name in PARTS:
        if name in columns:
            values = columns[name]
            listed = values.to_pylist() if hasattr(values, "to_pylist") else list(values)
            return np.array([str(value).lower() in HELD_OUT for value in listed])
    return None


def _joined(parts: list[Mapping[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([columns[name] for columns in parts]) for name in parts[0]}


def _digest(table: Path) -> str:
    try:
        with table.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise PlimsollError(f"the table cannot be read: {error.strerror}", where=str(table)) from error


if __name__ == "__main__":
    main()
