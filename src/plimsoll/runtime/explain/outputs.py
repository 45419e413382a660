"""Contributions of features as extra outputs of an inference, for requests with the parameter `explain`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from plimsoll.errors import MissingExtra, TargetError
from plimsoll.runtime.explain.onnx_file import read_onnx
from plimsoll.runtime.explain.shapley import contributions
from plimsoll.runtime.explain.trees import Tree, TreePaths, tree_paths
from plimsoll.runtime.explain.xgboost_file import read_xgboost
from plimsoll.runtime.tensors import Array, BadTensor

CONTRIBUTIONS = "contributions"
BASE = "contributions_base"
MAX_ROWS = 1000
"""Most rows of one request: explaining a row costs as much as hundreds of predictions."""


def _unchecked() -> None:
    pass


def explanations(
    path: Path,
    inputs: Mapping[str, Array],
    check: Callable[[], None] = _unchecked,
    still_wanted: Callable[[], None] = _unchecked,
) -> dict[str, Array]:
    """`contributions` [rows, outputs, features] and `contributions_base` [rows, outputs], in the margin's unit, FP32.

    Base plus contributions is the raw sum of the trees, before any link function. Raises BadTensor with the reason when
    this model or request cannot be explained. `check` is called before the model's files are read, and raises
    PlimsollError when they may not be. `still_wanted` is called now and then, and raises to end it early.
    """
    source, paths = read_trees(path, check)
    rows = inputs[source]
    if rows.ndim != 2:
        raise BadTensor("explanations support only inputs with two dimensions")
    if len(rows) > MAX_ROWS:
        raise BadTensor(f"cannot explain {len(rows)} rows in one request; send at most {MAX_ROWS}")
    found = contributions(paths, rows, still_wanted)
    base = np.tile(found.base.astype(np.float32), (len(rows), 1))
    return {CONTRIBUTIONS: found.values.astype(np.float32), BASE: base}


def read_trees(path: Path, check: Callable[[], None] = _unchecked) -> tuple[str, TreePaths]:
    """The name of the input that the trees of a model read, and their paths; remembered for some models.

    Raises BadTensor when the model cannot be explained, or `check` says that its files may not be read.
    """
    try:
        return _load_paths(path, path.stat().st_mtime_ns, check)
    except (MissingExtra, TargetError) as error:
        raise BadTensor(error.on_one_line()) from error


@lru_cache(maxsize=64)
def _load_paths(path: Path, _: int, check: Callable[[], None]) -> tuple[str, TreePaths]:
    """Load the paths of the trees, and the name of the input that they read."""
    check()
    ensemble = read_onnx(path)
    if ensemble.cover:
        return ensemble.input, tree_paths(ensemble.trees, ensemble.base)
    beside = path.with_suffix(".json")
    if not beside.exists():
        raise BadTensor(
            "the ONNX file lacks the training weight of each node, which contributions need; "
            f"keep XGBoost's own file beside it: booster.save_model('{beside.name}')"
        )
    trees, base = read_xgboost(beside)
    onnx_values, xgboost_values = _sorted_leaf_values(ensemble.trees), _sorted_leaf_values(trees)
    if onnx_values.shape != xgboost_values.shape or not np.allclose(onnx_values, xgboost_values, rtol=1e-5, atol=1e-7):
        raise BadTensor(f"{beside.name} and {path.name} are different models: their leaves have different values")
    return ensemble.input, tree_paths(trees, base)


def _sorted_leaf_values(trees: Sequence[Tree]) -> Array:
    """The values of all leaves, sorted in each tree. They are equal in two files of the same model."""
    values = [sorted(value for leaf in tree.leaves.values() for _, value in leaf) for tree in trees]
    together = [value for tree in values for value in tree]
    return np.array(together)
