"""Read the tree ensemble of an ONNX file.

Source: operators ai.onnx.ml TreeEnsembleClassifier and TreeEnsembleRegressor, versions 1 and 3. `nodes_hitrates` has
the training weight of each node (its cover). Converters may leave it out; the trees then have no cover.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from msgspec import Struct

from plimsoll.errors import MissingExtra
from plimsoll.runtime.explain.trees import Tree
from plimsoll.runtime.tensors import BadTensor

if TYPE_CHECKING:
    from onnx import GraphProto

Attributes = Mapping[str, Any]
"""Attributes of an ONNX operator by name: numbers, texts and lists of them."""

OPERATORS = {"TreeEnsembleClassifier": "class", "TreeEnsembleRegressor": "target"}
"""Maps each operator to the prefix of the attributes of its leaves."""
PASS_THROUGH = {"Cast", "Identity"}
BRANCHES = {"BRANCH_LT", "BRANCH_LEQ", "BRANCH_GT", "BRANCH_GTE"}


class TreeNode(NamedTuple):
    """One node of a tree, with the attributes of the operator."""

    feature: int
    value: float
    mode: bytes | str
    true: int
    false: int
    missing_is_true: int
    cover: float


class Ensemble(Struct, frozen=True, kw_only=True):
    """The trees of a model, their base values, and the input that they read. `cover` says whether the trees have it."""

    input: str
    trees: tuple[Tree, ...]
    base: tuple[float, ...]
    cover: bool


def read_onnx(path: Path) -> Ensemble:
    """Read the only tree ensemble of a model file.

    Raises BadTensor with the reason when the model has no such ensemble, or one that cannot be explained. Raises
    MissingExtra without onnx.
    """
    try:
        import onnx
    except ImportError:
        raise MissingExtra("explain", "explaining predictions") from None
    graph = onnx.load(str(path)).graph
    found = [node for node in graph.node if node.op_type in OPERATORS]
    if len(found) != 1:
        kinds = ", ".join(sorted({node.op_type for node in graph.node}))[:200]
        text = f"explanations need a model with one tree ensemble; this one has {len(found)} among {kinds}"
        raise BadTensor(f"{text}. Other models are explained by shap: `explain` of the service")
    attributes = {one.name: onnx.helper.get_attribute_value(one) for one in found[0].attribute}
    unsupported = [name for name in attributes if name.endswith("_as_tensor")]
    if unsupported:
        raise BadTensor(f"explanations do not support trees in double precision ({unsupported[0]})")
    if attributes.get("aggregate_function", b"SUM") not in {b"SUM", "SUM"}:
        raise BadTensor("explanations support only ensembles that sum their trees")
    leaves = _leaves(OPERATORS[found[0].op_type], attributes)
    trees, cover = _trees(attributes, leaves)
    outputs = 1 + max((target for values in leaves.values() for target, _ in values), default=0)
    base = [*attributes.get("base_values", ()), *([0.0] * outputs)][:outputs]
    return Ensemble(input=_ensemble_input(graph, found[0].input[0]), trees=trees, base=tuple(base), cover=cover)


def _ensemble_input(graph: GraphProto, name: str) -> str:
    """The model input that the ensemble reads, possibly through casts. Raises BadTensor for other operators between."""
    makers = {output: node for node in graph.node for output in node.output}
    while name in makers:
        node = makers[name]
        if node.op_type not in PASS_THROUGH:
            raise BadTensor(
                f"the trees read the output of {node.op_type}, so the inputs themselves cannot be explained"
            )
        name = node.input[0]
    return name


NodeKey = tuple[int, int]


def _leaves(prefix: str, attributes: Attributes) -> dict[NodeKey, list[tuple[int, float]]]:
    """Outputs and values of the leaves by tree and node."""
    leaves: dict[NodeKey, list[tuple[int, float]]] = defaultdict(list)
    names = [f"{prefix}_{part}" for part in ("treeids", "nodeids", "ids", "weights")]
    for tree, node, target, weight in zip(*(attributes[name] for name in names), strict=True):
        leaves[tree, node].append((target, weight))
    return leaves


def _trees(
    attributes: Attributes, leaves: Mapping[NodeKey, Sequence[tuple[int, float]]]
) -> tuple[tuple[Tree, ...], bool]:
    names = ("featureids", "values", "modes", "truenodeids", "falsenodeids")
    columns = [attributes[f"nodes_{name}"] for name in names]
    count = len(columns[0])
    columns.append(attributes.get("nodes_missing_value_tracks_true") or [0] * count)
    columns.append(attributes.get("nodes_hitrates") or [0.0] * count)
    by_tree: dict[int, dict[int, TreeNode]] = defaultdict(dict)
    for tree, node, *values in zip(attributes["nodes_treeids"], attributes["nodes_nodeids"], *columns, strict=True):
        by_tree[tree][node] = TreeNode(*values)
    trees = tuple(_tree(number, nodes, leaves) for number, nodes in by_tree.items())
    return trees, all(map(_has_cover, trees))


def _tree(number: int, nodes: Mapping[int, TreeNode], leaves: Mapping[NodeKey, Sequence[tuple[int, float]]]) -> Tree:
    """Build one tree. Its first node is the root, as the operator defines."""
    position = {node: at for at, node in enumerate(nodes)}
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
            raise BadTensor(f"explanations do not support tree nodes of mode {mode}")
        below = mode in {"BRANCH_LT", "BRANCH_LEQ"}
        left.append(position[true if below else false])
        right.append(position[false if below else true])
        # x <= b means x < (the next number after b).
        after = np.nextafter(np.float32(value), np.float32(np.inf))
        bound.append(float(after if mode in {"BRANCH_LEQ", "BRANCH_GT"} else value))
        missing_left.append(bool(follow) == below)
    return Tree(
        feature=[each.feature for each in nodes.values()],
        bound=bound,
        left=left,
        right=right,
        missing_left=missing_left,
        cover=[each.cover for each in nodes.values()],
        leaves={position[node]: leaves.get((number, node), ()) for node in nodes},
    )


def _has_cover(tree: Tree) -> bool:
    """Whether each node has the weight of its children together. Some converters write 1 everywhere instead."""
    for node, left in enumerate(tree.left):
        if left >= 0:
            below = tree.cover[left] + tree.cover[tree.right[node]]
            if tree.cover[node] <= 0 or abs(below - tree.cover[node]) > 0.01 * tree.cover[node] + 0.01:
                return False
    return True
