"""`python -m plimsoll.runtime.explain.summary`: what each feature contributes, summed up over rows of a table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from plimsoll.errors import MissingExtra, PlimsollError, install_command
from plimsoll.runtime.explain.summed import Summary
from plimsoll.runtime.model_digests import digests_in

if TYPE_CHECKING:
    from plimsoll.runtime.model import OnnxModel
    from plimsoll.runtime.tables.layout import InputLayout
    from plimsoll.runtime.tables.table import Table
    from plimsoll.runtime.tensors import Array

MOST_ROWS = 500
"""Rows that are explained, evenly spread over the table."""
SAMPLED_ROWS = 50
"""Rows that are explained by shap, which takes longer."""
SAMPLED_EVALUATIONS = 3000
SAMPLED_SECONDS = 120.0
MOST_FEATURES = 30
CHUNK = 5_000


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
    """Explain rows of a table by the trees of a model, or by shap. Raises PlimsollError when neither can."""
    try:
        from plimsoll.runtime.model import OnnxModel
        from plimsoll.runtime.tables.layout import input_layout
        from plimsoll.runtime.tables.table import Table
    except ImportError:
        raise MissingExtra("serve", "summing up explanations") from None
    model, read = OnnxModel(path, "model", files=digests), Table(table)
    layout = input_layout(read, model.spec)
    tensors = _rows(read, layout)
    if not tensors:
        raise PlimsollError("the table has no rows", where=str(table))
    values, method = _values(model, table, tensors)
    means = abs(values.astype("float64")).mean(axis=(0, 1))
    names = model.spec.features if len(model.spec.features) == len(means) else _columns(layout.columns, len(means))
    return _ordered(means, names, len(values), f"{method}{_of(values.shape[1])}")


def _rows(table: Table, layout: InputLayout) -> dict[str, Array]:
    """Some rows of a table as the inputs of a model, evenly spread; nothing of a table without rows."""
    import numpy as np

    every = max(1, -(-sum(chunk.rows for chunk in table.chunks(CHUNK, ())) // MOST_ROWS))
    found: dict[str, list[Array]] = {}
    for chunk in table.chunks(CHUNK, layout.names):
        for name, tensor in layout.tensors(chunk).items():
            found.setdefault(name, []).append(tensor[-chunk.first % every :: every])
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _values(model: OnnxModel, table: Path, tensors: Mapping[str, Array]) -> tuple[Array, str]:
    """Contributions [rows, outputs, features], and how they were computed. Raises PlimsollError."""
    from plimsoll.runtime.explain.matrices import as_matrix
    from plimsoll.runtime.explain.outputs import CONTRIBUTIONS, explanations
    from plimsoll.runtime.explain.sampled import Budget
    from plimsoll.runtime.explain.shap_process import sampler_of
    from plimsoll.runtime.tensors import BadTensor

    try:
        return explanations(model.path, tensors)[CONTRIBUTIONS], "exact SHAP values of trees, in the margin's unit"
    except BadTensor as no_trees:
        if find_spec("shap") is None:
            hint = f"other models are explained by shap: {install_command(('shap',))}"
            raise PlimsollError(str(no_trees), where=model.path.name, hint=hint) from no_trees
    budget = Budget(evaluations=SAMPLED_EVALUATIONS, seconds=SAMPLED_SECONDS)
    sampler = sampler_of(model.path, table, budget, digests=model.files)
    try:
        values, _ = sampler.explain(as_matrix(model.spec, tensors)[:: max(1, MOST_ROWS // SAMPLED_ROWS)])
    except BadTensor as error:
        raise PlimsollError(str(error), where=model.path.name) from error
    return values, "SHAP values by permutations, in the output's unit"


def _of(outputs: int) -> str:
    return f", mean of {outputs} outputs" if outputs > 1 else ""


def _columns(columns: Mapping[str, tuple[str, ...]], width: int) -> tuple[str, ...]:
    """The names of the columns that the features were read from."""
    names = tuple(name for each in columns.values() for name in each)
    return names if len(names) == width else tuple(f"feature {place}" for place in range(width))


def _ordered(means: Array, names: tuple[str, ...], rows: int, method: str) -> Summary:
    found = sorted(zip(names, map(float, means), strict=True), key=lambda pair: (-pair[1], pair[0]))
    return Summary(
        rows=rows,
        method=method,
        features=tuple(found[:MOST_FEATURES]),
        total=float(means.sum()),
        more=max(0, len(found) - MOST_FEATURES),
    )


if __name__ == "__main__":
    main()
