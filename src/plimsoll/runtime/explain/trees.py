"""A tree ensemble as paths: one path for each leaf, with one condition for each feature on the path. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from msgspec import Struct

from plimsoll.runtime.tensors import Array


class Tree(Struct, frozen=True, kw_only=True):
    """One tree. Every field is indexed by node; node 0 is the root.

    A row goes to `left` when its `feature` is less than `bound` (in 32 bits), else to `right`. A missing value goes to
    the side of `missing_left`. `cover` is the weight of the training rows that reached a node. A leaf has `left` -1,
    and its output and value in `leaves`.
    """

    feature: Sequence[int]
    bound: Sequence[float]
    left: Sequence[int]
    right: Sequence[int]
    missing_left: Sequence[bool]
    cover: Sequence[float]
    leaves: Mapping[int, Sequence[tuple[int, float]]]


class TreePaths(Struct, frozen=True, kw_only=True):
    """All leaves of an ensemble, with `depth` conditions each. Shorter paths are padded: always true, feature 0.

    Condition: `low <= x < high` (no upper bound when `high` is NaN), or x is missing and `missing` is true. `share` is
    the share of training weight that took this side at the splits of the feature. Shapes are [leaves, depth]; `value`
    and `target` are [leaves]. `base` has the base value of each output.
    """

    feature: Array
    low: Array
    high: Array
    missing: Array
    share: Array
    value: Array
    target: Array
    base: Array


class _Condition(Struct, frozen=True, kw_only=True):
    """The condition of one path on one feature, over all splits of that feature."""

    low: float = -np.inf
    high: float = np.inf
    missing: bool = True
    share: float = 1.0


def tree_paths(trees: Sequence[Tree], base: Sequence[float]) -> TreePaths:
    """Convert trees whose leaves are summed to paths."""
    walked = [
        (conditions, target, value)
        for tree in trees
        for leaf, conditions in _walk(tree)
        for target, value in tree.leaves.get(leaf, ())
    ]
    depth = max((len(conditions) for conditions, _, _ in walked), default=0) or 1
    shape = (len(walked), depth)
    feature = np.zeros(shape, dtype=np.int64)
    low, high = np.full(shape, -np.inf, dtype=np.float32), np.full(shape, np.inf, dtype=np.float32)
    missing, share = np.ones(shape, dtype=np.bool_), np.ones(shape)
    for row, (conditions, _, _) in enumerate(walked):
        for column, (number, condition) in enumerate(conditions.items()):
            feature[row, column] = number
            low[row, column], high[row, column] = condition.low, condition.high
            missing[row, column], share[row, column] = condition.missing, condition.share
    high[np.isposinf(high)] = np.nan
    return TreePaths(
        feature=feature,
        low=low,
        high=high,
        missing=missing,
        share=share,
        value=np.array([value for _, _, value in walked]),
        target=np.array([target for _, target, _ in walked], dtype=np.int64),
        base=np.array(base, dtype=np.float64),
    )


def _walk(tree: Tree) -> Iterator[tuple[int, dict[int, _Condition]]]:
    """Yield each leaf with its conditions, without recursion, because the model decides the depth."""
    waiting: list[tuple[int, dict[int, _Condition]]] = [(0, {})]
    while waiting:
        node, conditions = waiting.pop()
        if tree.left[node] < 0:
            yield node, conditions
            continue
        number, bound = tree.feature[node], float(np.float32(tree.bound[node]))
        before = conditions.get(number, _Condition())
        for below, child in ((True, tree.left[node]), (False, tree.right[node])):
            cover = tree.cover[node]
            after = _Condition(
                low=before.low if below else max(before.low, bound),
                high=min(before.high, bound) if below else before.high,
                missing=before.missing and bool(tree.missing_left[node]) == below,
                share=before.share * (tree.cover[child] / cover if cover else 0.0),
            )
            waiting.append((child, {**conditions, number: after}))
