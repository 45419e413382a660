"""`python -m plimsoll.runtime.explain.summary`: what each feature contributes, summed up over rows of a table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from plimsoll.decoding import decodable
from plimsoll.errors import MissingExtra, PlimsollError
from plimsoll.runtime.model_digests import digests_in

if TYPE_CHECKING:
    from plimsoll.runtime.tables.table import Table
    from plimsoll.runtime.tensors import Array

MOST_ROWS = 500
"""Rows that are explained, evenly spread over the table."""
MOST_FEATURES = 30
CHUNK = 5_000


@decodable
class Summary(Struct, frozen=True, kw_only=True):
    """The mean absolute contribution of each feature, largest first; `more` features were left out."""

    rows: int
    method: str
    features: tuple[tuple[str, float], ...]
    total: float
    more: int = 0


def main() -> None:
    """Write the summary; exit 1 with a one-line reason on failure."""
    parser = argparse.ArgumentParser(prog="python -m plimsoll.runtime.explain.summary", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="an ONNX file")
    parser.add_argument("--table", type=Path, required=True, help="a .csv or .parquet file, or a directory of them")
    parser.add_argument("--output", type=Path, required=True, help="the file to write")
    parser.add_argument("--digest", action="append", default=[], metavar="FILE=sha256:…")
    arguments = parser.parse_args()
    try:
        found = summary(arguments.model, arguments.table, digests_in(arguments.digest))
    except PlimsollError as error:
        sys.stderr.write(f"error: {error.on_one_line()}\n")
        sys.exit(1)
    arguments.output.write_bytes(msgspec.json.encode(found))


def summary(path: Path, table: Path, digests: Mapping[str, str] | None = None) -> Summary:
    """Explain rows of a table by the trees of a model. Raises PlimsollError with the reason when that cannot be."""
    try:
        import numpy as np

        from plimsoll.runtime.explain.outputs import CONTRIBUTIONS, explanations
        from plimsoll.runtime.model import OnnxModel
        from plimsoll.runtime.tables.layout import input_layout
        from plimsoll.runtime.tables.table import Table
        from plimsoll.runtime.tensors import BadTensor
    except ImportError:
        raise MissingExtra("serve", "summing up explanations") from None
    model, read = OnnxModel(path, "model", files=digests), Table(table)
    layout = input_layout(read, model.spec)
    every = max(1, -(-_count(read) // MOST_ROWS))
    sums, rows, outputs = np.zeros(0), 0, 1
    for chunk in read.chunks(CHUNK, layout.names):
        tensors = {name: tensor[::every][: MOST_ROWS - rows] for name, tensor in layout.tensors(chunk).items()}
        try:
            values = explanations(path, tensors)[CONTRIBUTIONS]
        except BadTensor as error:
            raise PlimsollError(str(error), where=str(path.name)) from error
        outputs = values.shape[1]
        absolute = np.abs(values.astype(np.float64)).mean(axis=1).sum(axis=0)
        sums = absolute if not rows else sums + absolute
        rows += len(values)
        if rows >= MOST_ROWS:
            break
    if not rows:
        raise PlimsollError("the table has no rows", where=str(table))
    names = model.spec.features if len(model.spec.features) == len(sums) else _columns(layout.columns, len(sums))
    return _ordered(sums / rows, names, rows, outputs)


def _count(table: Table) -> int:
    return sum(chunk.rows for chunk in table.chunks(CHUNK, ()))


def _columns(columns: Mapping[str, tuple[str, ...]], width: int) -> tuple[str, ...]:
    """The names of the columns that the features were read from."""
    names = tuple(name for each in columns.values() for name in each)
    return names if len(names) == width else tuple(f"feature {place}" for place in range(width))


def _ordered(means: Array, names: tuple[str, ...], rows: int, outputs: int) -> Summary:
    found = sorted(zip(names, map(float, means), strict=True), key=lambda pair: (-pair[1], pair[0]))
    of = f", mean of {outputs} outputs" if outputs > 1 else ""
    return Summary(
        rows=rows,
        method=f"exact SHAP values of trees, in the margin's unit{of}",
        features=tuple(found[:MOST_FEATURES]),
        total=float(means.sum()),
        more=max(0, len(found) - MOST_FEATURES),
    )


if __name__ == "__main__":
    main()
