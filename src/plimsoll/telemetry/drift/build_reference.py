"""Build the drift reference of a model from its table of training, once, and write it to a file with its digest."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec
import numpy as np

from plimsoll.errors import MissingExtra, PlimsollError
from plimsoll.files import replace_file
from plimsoll.telemetry.drift.reference import DriftReference, decode_reference, encode_reference
from plimsoll.telemetry.drift.statistics import scipy_special

if TYPE_CHECKING:
    from plimsoll.runtime.specs import ModelSpec
    from plimsoll.runtime.tables.chunk import Column
    from plimsoll.runtime.tensors import Array

MAX_ROWS = 200_000
"""Most rows of the table to read, evenly spread: more rows would not improve the reference."""
CHUNK = 5_000
SPLIT_COLUMNS = ("part", "split")
HELD_OUT_VALUES = {"test", "validation", "valid", "holdout", "held_out", "eval"}
"""Values of the columns `SPLIT_COLUMNS` that mark rows held out of training."""


def main() -> None:
    """Build a reference; exit 1 with a one-line reason on failure."""
    parser = argparse.ArgumentParser(prog="python -m plimsoll.telemetry.drift.build_reference", description=__doc__)
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--model", type=Path, help="an ONNX file")
    model.add_argument("--code", help="the user's own code: a service file of one model, in JSON")
    parser.add_argument("--name", required=True, help="the model's name in the protocol's paths")
    parser.add_argument("--digest", required=True, help="digest of the model")
    parser.add_argument(
        "--table", type=Path, required=True, help="a .csv or .parquet file of training, or a directory of them"
    )
    parser.add_argument("--data", default="", help="digest of the data; the table's SHA-256 by default")
    parser.add_argument("--output", type=Path, required=True, help="the file to write")
    arguments = parser.parse_args()
    try:
        scipy_special()
        data = arguments.data or _digest(arguments.table)
        with _model(arguments.model, arguments.code, arguments.name) as found:
            reference = build_reference(found, arguments.table, digest=arguments.digest, data=data)
        replace_file(arguments.output, encode_reference(reference))
        print(
            f"{len(reference.inputs.features)} features and {len(reference.outputs.features)} outputs"
            f" of {reference.inputs.rows} rows"
        )
    except PlimsollError as error:
        sys.stderr.write(f"error: {error.on_one_line()}\n")
        sys.exit(1)


class Computing(Protocol):
    """What the rows of the table are computed with."""

    @property
    def spec(self) -> ModelSpec:
        """Its inputs and outputs."""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name. Raises BadTensor."""


@contextlib.contextmanager
def _model(path: Path | None, code: str | None, name: str) -> Iterator[Computing]:
    """The ONNX file, or the user's own code in processes of its own. Raises PlimsollError."""
    try:
        from plimsoll.runtime.model import OnnxModel
        from plimsoll.runtime.server.predictors.direct import DirectCalls
        from plimsoll.runtime.server.service_file import ServiceFile
    except ImportError:
        raise MissingExtra("serve", "a drift reference") from None
    if path is not None:
        yield OnnxModel(path, name)
        return
    with DirectCalls(msgspec.json.decode(code or "", type=ServiceFile).models[0]) as calls:
        yield calls


def read_reference(path: Path) -> DriftReference:
    """Read a reference file. Raises PlimsollError when it is missing or altered."""
    try:
        return decode_reference(path.read_bytes(), str(path))
    except OSError as error:
        raise PlimsollError(f"cannot read the drift reference: {error.strerror}", where=str(path)) from error


def build_reference(model: Computing, table: Path, *, digest: str, data: str) -> DriftReference:
    """Build the reference of the inputs in the table, and of the model's outputs for them.

    When a column `part` or `split` marks held-out rows (`test`, `validation`), the outputs' reference uses only those
    rows: a model is more confident on rows that it was trained with than on new rows.
    """
    from plimsoll.telemetry.drift.features import build_side

    inputs, outputs = _columns(model, table)
    if not inputs:
        raise PlimsollError("the table of the drift reference has no rows", where=str(table))
    return DriftReference(
        model=digest,
        spec=model.spec,
        data=data,
        inputs=build_side(_concatenate(inputs), "input"),
        outputs=build_side(_concatenate(outputs), "output"),
    )


def _columns(model: Computing, table: Path) -> tuple[list[Mapping[str, Array]], list[Mapping[str, Array]]]:
    from plimsoll.runtime.fixed_batch import run_rows
    from plimsoll.runtime.tables.layout import input_layout
    from plimsoll.runtime.tables.table import Table
    from plimsoll.runtime.tensors import BadTensor
    from plimsoll.telemetry.drift.columns import input_columns, output_columns

    inputs: list[Mapping[str, Array]] = []
    outputs: list[Mapping[str, Array]] = []
    held_out: list[Mapping[str, Array]] = []
    read = Table(table)
    layout = input_layout(read, model.spec)
    every = max(1, -(-sum(chunk.rows for chunk in read.chunks(CHUNK, ())) // MAX_ROWS))
    for chunk in read.chunks(CHUNK, layout.names | set(SPLIT_COLUMNS)):
        tensors = {name: tensor[::every] for name, tensor in layout.tensors(chunk).items()}
        inputs.append(input_columns(tensors, model.spec))
        try:
            results = run_rows(model.run, model.spec, tensors, -(-chunk.rows // every))
            given = output_columns(results, model.spec)
        except BadTensor as error:
            raise PlimsollError(str(error), where=f"{table}, rows from {chunk.first}") from error
        outputs.append(given)
        kept = _held_out_rows(chunk.columns)
        if kept is not None:
            held_out.append({name: column[kept[::every]] for name, column in given.items()})
    rows = sum(len(next(iter(columns.values()), ())) for columns in held_out)
    return inputs, held_out if rows >= CHUNK // 25 else outputs


def _held_out_rows(columns: Mapping[str, Column]) -> Array | None:
    from plimsoll.runtime.tables.chunk import python_values

    for name in SPLIT_COLUMNS:
        if name in columns:
            return np.array([str(value).lower() in HELD_OUT_VALUES for value in python_values(columns[name])])
    return None


def _concatenate(parts: list[Mapping[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([columns[name] for columns in parts]) for name in parts[0]}


def _digest(table: Path) -> str:
    """The digest of the content: of the file, or of the digests of all files of a directory by name."""
    try:
        if not table.is_dir():
            with table.open("rb") as file:
                return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        files = sorted(file for file in table.rglob("*") if file.is_file())
        lines = "".join(f"{_digest(file)} {file.relative_to(table)}\n" for file in files)
        return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"
    except OSError as error:
        raise PlimsollError(f"cannot read the table: {error.strerror}", where=str(table)) from error


if __name__ == "__main__":
    main()
