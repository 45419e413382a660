"""Exact SHAP values of tree ensembles (the path-dependent TreeSHAP of Lundberg et al. 2020), in numpy. Pure.

On one path, the value of a coalition of features is a product. A feature in the coalition contributes 1 or 0 (whether
the row meets its condition); a feature outside contributes the share of training rows that met it. The Shapley value of
such a product game is an integral of its multilinear extension (Owen 1972):

    phi_i = value · (one_i - share_i) · ∫ over t in 0..1 of the product over j ≠ i of (share_j · (1 - t) + one_j · t)

The integrand is a polynomial of degree depth - 1, so the Gauss-Legendre rule with depth/2 points is exact.
All terms are positive, so there is no cancellation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct

from plimsoll.runtime.explain.trees import TreePaths
from plimsoll.runtime.tensors import Array

CELLS = 1 << 15
"""Rows × leaves × depth that are computed at once: the arrays of a step stay in the processor's cache."""
MIN_SHARE = 1e-12
"""Replaces a share of zero, because the code divides by shares."""


class Contributions(Struct, frozen=True, kw_only=True):
    """`values` is [rows, outputs, features], `base` is [outputs]; their sum is the ensemble's raw output (margin)."""

    values: Array
    base: Array


def contributions(paths: TreePaths, rows: Array, still_wanted: Callable[[], None] = lambda: None) -> Contributions:
    """The contribution of each feature of `rows` ([rows, features]) to each output.

    `still_wanted` is called before each batch, and raises to end it early.
    """
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    outputs, features = len(paths.base), rows.shape[1]
    values = np.zeros((len(rows), outputs * features))
    leaves, depth = paths.feature.shape
    points, weights = np.polynomial.legendre.leggauss((depth + 1) // 2)
    rule = list(zip((points + 1) / 2, weights / 2, strict=True))
    leaves_at_once = max(1, CELLS // max(1, depth))
    for first in range(0, leaves, leaves_at_once):
        block = _Block.of(paths, slice(first, first + leaves_at_once), features)
        rows_at_once = max(1, CELLS // max(1, block.feature.size))
        for row in range(0, len(rows), rows_at_once):
            still_wanted()
            gained = _gained(block, rows[row : row + rows_at_once], rule)
            for number, each in enumerate(gained, start=row):
                # One position for each output and feature; padding adds zeros to a position of its own row.
                values[number] += np.bincount(block.position, weights=each.ravel(), minlength=outputs * features)
    expected = paths.value * paths.share.prod(axis=1)
    base = paths.base + np.bincount(paths.target, weights=expected, minlength=outputs)
    return Contributions(values=values.reshape(len(rows), outputs, features), base=base)


class _Block(Struct, frozen=True, kw_only=True):
    """Some leaves with the conditions of their paths, by depth and leaf, so that neighbours in memory are alike."""

    feature: Array
    low: Array
    high: Array
    missing: Array
    share: Array
    value: Array
    position: Array

    @classmethod
    def of(cls, paths: TreePaths, part: slice, features: int) -> _Block:
        """The leaves of `part`."""
        feature = np.ascontiguousarray(paths.feature[part].T)
        high = np.ascontiguousarray(paths.high[part].T)
        return cls(
            feature=feature,
            low=np.ascontiguousarray(paths.low[part].T),
            high=np.where(np.isnan(high), np.inf, high),
            missing=np.ascontiguousarray(paths.missing[part].T),
            share=np.ascontiguousarray(paths.share[part].T),
            value=paths.value[part],
            position=(paths.target[part][None, :] * features + feature).ravel(),
        )


def _gained(block: _Block, rows: Array, rule: Sequence[tuple[float, float]]) -> Array:
    """The contribution of each condition of each path. Shape [rows, depth, leaves]."""
    one = _meets(block, rows).astype(np.float64)
    share = np.maximum(block.share, MIN_SHARE)
    integral = np.zeros(one.shape)
    for point, weight in rule:
        factors = one * point
        factors += share * (1 - point)
        integral += weight * factors.prod(axis=1, keepdims=True) / factors
    integral *= one - block.share
    integral *= block.value
    return integral


def _meets(block: _Block, rows: Array) -> Array:
    """Whether each row meets each condition. Shape [rows, depth, leaves]."""
    x = rows[:, block.feature]
    absent = np.isnan(x)
    within = (x >= block.low) & ((x < block.high) | np.isposinf(block.high))
    return np.where(absent, block.missing, within)
