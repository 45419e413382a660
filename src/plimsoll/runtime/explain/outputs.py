"""Contributions as further outputs of an inference, for requests with the parameter `explain`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from plimsoll.errors import MissingExtra
from plimsoll.runtime.explain.onnx_file import read_onnx
from plimsoll.runtime.explain.shapley import contributions
from plimsoll.runtime.explain.trees import Paths, Tree, paths_of
from plimsoll.runtime.explain.xgboost_file import read_xgboost
from plimsoll.runtime.tensors import Array, BadTensor

CONTRIBUTIONS = "contributions"
BASE = "contributions_base"
MOST_ROWS = 1000
"""Rows that are explained in one request: a row costs as much as hundreds of predictions."""


def explanations(path: Path, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """`contributions` [rows, outputs, features] and `contributions_base` [rows, outputs], in the margin's unit, FP32.

    Their sum over the features and the base is what the trees add up to before any link function. Raises BadTensor with
    the reason when this model or request cannot be explained.
    """
    try:
        source, paths = _explained(path, path.stat().st_mtime_ns)
    except MissingExtra as error:
        raise BadTensor(error.on_one_line()) from error
    rows = inputs[source]
    if rows.ndim != 2:
        raise BadTensor("only inputs of two dimensions are explained")
    if len(rows) > MOST_ROWS:
        raise BadTensor(f"{len(rows)} rows are too many to explain at once; send at most {MOST_ROWS}")
    found = contributions(paths, rows)
    base = np.tile(found.base.astype(np.float32), (len(rows), 1))
    return {CONTRIBUTIONS: found.values.astype(np.float32), BASE: base}


@lru_cache(maxsize=8)
def _explained(path: Path, _: int) -> tuple[str, Paths]:
    """The name of the input that the trees read, and their paths."""
    ensemble = read_onnx(path)
    if ensemble.cover:
        return ensemble.input, paths_of(ensemble.trees, ensemble.base)
    beside = path.with_suffix(".json")
    if not beside.exists():
        raise BadTensor(
            "the ONNX file does not say how much of training went through each node, without which contributions are "
            f"guesses; keep XGBoost's own file beside it: booster.save_model('{beside.name}')"
        )
    trees, base = read_xgboost(beside)
    ours, theirs = _values(ensemble.trees), _values(trees)
    if ours.shape != theirs.shape or not np.allclose(ours, theirs, rtol=1e-5, atol=1e-7):
        raise BadTensor(f"{beside.name} is another model than {path.name}: its leaves have other values")
    return ensemble.input, paths_of(trees, base)


def _values(trees: Sequence[Tree]) -> Array:
    """The values of all leaves, tree after tree in ascending order: what two files of one model have in common."""
    values = [sorted(value for told in tree.leaves.values() for _, value in told) for tree in trees]
    together = [value for tree in values for value in tree]
    return np.array(together)
