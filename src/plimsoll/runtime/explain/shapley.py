"""Exact SHAP values of tree ensembles (the path-dependent TreeSHAP of Lundberg et al. 2020), in numpy. Pure.

On one path, the value of a coalition of features is a product. A feature in the coalition contributes 1 or 0 (whether
the row meets its condition); a feature outside contributes the share of training rows that met it. The Shapley value of
such a product game is an integral of its multilinear extension (Owen 1972):

    phi_i = value · (one_i - share_i) · ∫ over t in 0..1 of the product over j ≠ i of (share_j · (1 - t) + one_j · t)

The integrand is a polynomial of degree depth - 1, so the Gauss-Legendre rule with depth/2 points is exact.
All terms are positive, so there is no cancellation.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from plimsoll.runtime.explain.trees import TreePaths
from plimsoll.runtime.tensors import Array

MAX_CELLS = 2_000_000
"""Most rows × leaves × depth in one batch: about 100 MB."""
MIN_SHARE = 1e-12
"""Replaces a share of zero, because the code divides by shares."""


class Contributions(Struct, frozen=True, kw_only=True):
    """`values` is [rows, outputs, features], `base` is [outputs]; their sum is the ensemble's raw output (margin)."""

    values: Array
    base: Array


def contributions(paths: TreePaths, rows: Array) -> Contributions:
    """The contribution of each feature of `rows` ([rows, features]) to each output."""
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    outputs, features = len(paths.base), rows.shape[1]
    values = np.zeros((len(rows), outputs * features))
    # One position for each output and feature; padding adds zeros to a position of its own row.
    position = paths.target[:, None] * features + paths.feature
    size = max(1, MAX_CELLS // max(1, paths.feature.size))
    for first in range(0, len(rows), size):
        given = _path_contributions(paths, rows[first : first + size])
        for row, gained in enumerate(given, start=first):
            values[row] = np.bincount(position.ravel(), weights=gained.ravel(), minlength=outputs * features)
    expected = paths.value * paths.share.prod(axis=1)
    base = paths.base + np.bincount(paths.target, weights=expected, minlength=outputs)
    return Contributions(values=values.reshape(len(rows), outputs, features), base=base)


def _path_contributions(paths: TreePaths, rows: Array) -> Array:
    """The contribution of each condition of each path. Shape [rows, leaves, depth]."""
    one = _meets(paths, rows).astype(np.float64)
    share = np.maximum(paths.share, MIN_SHARE)
    points, weights = np.polynomial.legendre.leggauss((share.shape[1] + 1) // 2)
    integral = np.zeros(one.shape)
    for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
        factors = share * (1 - point) + one * point
        integral += weight * factors.prod(axis=2, keepdims=True) / factors
    return paths.value[:, None] * (one - paths.share) * integral


def _meets(paths: TreePaths, rows: Array) -> Array:
    """Whether each row meets each condition. Shape [rows, leaves, depth]."""
    x = rows[:, paths.feature]
    absent = np.isnan(x)
    within = (x >= paths.low) & ((x < paths.high) | np.isnan(paths.high))
    return np.where(absent, paths.missing, within)
