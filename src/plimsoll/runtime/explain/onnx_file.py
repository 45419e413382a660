"""The tree ensemble in an ONNX file.

Source: operators ai.onnx.ml TreeEnsembleClassifier and TreeEnsembleRegressor, versions 1 and 3. What training sent
through each node stands in `nodes_hitrates`, which converters may leave out: then the trees are told without it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from plimsoll.errors import MissingExtra
from plimsoll.runtime.explain.trees import Tree
from plimsoll.runtime.tensors import BadTensor

OPERATORS = {"TreeEnsembleClassifier": "class", "TreeEnsembleRegressor": "target"}
"""Operator to the prefix of its leaves' attributes."""
PASSING = {"Cast", "Identity"}
BRANCHES = {"BRANCH_LT", "BRANCH_LEQ", "BRANCH_GT", "BRANCH_GTE"}


class Ensemble(Struct, frozen=True, kw_only=True):
    """The trees of a model, what their sums begin with, and the input that they read. `cover` says if it is told."""

    input: str
    trees: tuple[Tree, ...]
    base: tuple[float, ...]
    cover: bool


def read_onnx(path: Path) -> Ensemble:
    """The one tree ensemble of a model file.

    Raises BadTensor with the reason when it has no such ensemble or one that cannot be explained, MissingExtra without
    onnx.
    """
    try:
        import onnx
    except ImportError:
        raise MissingExtra("explain", "explaining predictions") from None
    graph = onnx.load(str(path)).graph
    found = [node for node in graph.node if node.op_type in OPERATORS]
    if len(found) != 1:
        kinds = ", ".join(sorted({node.op_type for node in graph.node}))[:200]
        raise BadTensor(f"only a model of one tree ensemble is explained; this one has {len(found)} among {kinds}")
    attributes = {one.name: onnx.helper.get_attribute_value(one) for one in found[0].attribute}
    unsupported = [name for name in attributes if name.endswith("_as_tensor")]
    if unsupported:
        raise BadTensor(f"this model's trees are in double precision ({unsupported[0]}), which is not explained")
    if attributes.get("aggregate_function", b"SUM") not in {b"SUM", "SUM"}:
        raise BadTensor("only ensembles whose trees are summed are explained")
    leaves = _leaves(OPERATORS[found[0].op_type], attributes)
    trees, cover = _trees(attributes, leaves)
    outputs = 1 + max((target for told in leaves.values() for target, _ in told), default=0)
    base = [*attributes.get("base_values", ()), *([0.0] * outputs)][:outputs]
    return Ensemble(input=_source(graph, found[0].input[0]), trees=trees, base=tuple(base), cover=cover)


def _source(graph: Any, name: str) -> str:
    """The model's input that the ensemble reads, through casts. Raises BadTensor when something else is between."""
    makers = {output: node for node in graph.node for output in node.output}
    while name in makers:
        node = makers[name]
        if node.op_type not in PASSING:
            raise BadTensor(f"the trees read what {node.op_type} makes of the inputs: contributions would be of that")
        name = node.input[0]
    return name


Key = tuple[int, int]


def _leaves(prefix: str, attributes: Mapping[str, Any]) -> dict[Key, list[tuple[int, float]]]:
    """Outputs and values by tree and node."""
    leaves: dict[Key, list[tuple[int, float]]] = defaultdict(list)
    names = [f"{prefix}_{part}" for part in ("treeids", "nodeids", "ids", "weights")]
    for tree, node, target, weight in zip(*(attributes[name] for name in names), strict=True):
        leaves[tree, node].append((target, weight))
    return leaves


def _trees(
    attributes: Mapping[str, Any], leaves: Mapping[Key, Sequence[tuple[int, float]]]
) -> tuple[tuple[Tree, ...], bool]:
    names = ("featureids", "values", "modes", "truenodeids", "falsenodeids")
    columns = [attributes[f"nodes_{name}"] for name in names]
    count = len(columns[0])
    columns.append(attributes.get("nodes_missing_value_tracks_true") or [0] * count)
    columns.append(attributes.get("nodes_hitrates") or [0.0] * count)
    by_tree: dict[int, dict[int, tuple[Any, ...]]] = defaultdict(dict)
    for tree, node, *values in zip(attributes["nodes_treeids"], attributes["nodes_nodeids"], *columns, strict=True):
        by_tree[tree][node] = tuple(values)
    trees = tuple(_tree(number, nodes, leaves) for number, nodes in by_tree.items())
    return trees, all(map(_covers, trees))


def _tree(number: int, nodes: Mapping[int, tuple[Any, ...]], leaves: Mapping[Key, Sequence[tuple[int, float]]]) -> Tree:
    """One tree; its first node is the root, as the operator says."""
    place = {node: at for at, node in enumerate(nodes)}
    left: list[int] = []
    right: list[int] = []
    bound: list[float] = []
    missing_left: list[bool] = []
    for _, value, mode_, true, false, follow, _ in nodes.values():
        mode = mode_.decode() if isinstance(mode_, bytes) else mode_
        if mode == "LEAF":
            left.append(-1)
            right.append(-1)
            bound.append(0.0)
            missing_left.append(False)
            continue
        if mode not in BRANCHES:
            raise BadTensor(f"trees with {mode} are not explained")
        below = mode in {"BRANCH_LT", "BRANCH_LEQ"}
        left.append(place[true if below else false])
        right.append(place[false if below else true])
        # x <= b is x < (the number after b).
        after = np.nextafter(np.float32(value), np.float32(np.inf))
        bound.append(float(after if mode in {"BRANCH_LEQ", "BRANCH_GT"} else value))
        missing_left.append(bool(follow) == below)
    return Tree(
        feature=[values[0] for values in nodes.values()],
        bound=bound,
        left=left,
        right=right,
        missing_left=missing_left,
        cover=[values[6] for values in nodes.values()],
        leaves={place[node]: leaves.get((number, node), ()) for node in nodes},
    )


def _covers(tree: Tree) -> bool:
    """Whether the weight in each node is that of its children; some converters write ones everywhere."""
    for node, left in enumerate(tree.left):
        if left >= 0:
            below = tree.cover[left] + tree.cover[tree.right[node]]
            if tree.cover[node] <= 0 or abs(below - tree.cover[node]) > 0.01 * tree.cover[node] + 0.01:
                return False
    return True
