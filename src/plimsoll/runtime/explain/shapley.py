"""Exact SHAP values of tree ensembles (the path-dependent TreeSHAP of Lundberg et al. 2020), in numpy. Pure.

Along one path the value of a coalition of features is a product: a feature in the coalition gives 1 or 0 (does the
row meet its condition), one outside gives the share of training that did. The Shapley value of such a product game is
an integral of its multilinear extension (Owen 1972):

    phi_i = value · (one_i - share_i) · ∫ over t in 0..1 of the product over j ≠ i of (share_j · (1 - t) + one_j · t)

The integrand is a polynomial of degree depth - 1, so Gauss and Legendre's rule with depth/2 points gives it exactly.
All terms are positive: nothing cancels.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from plimsoll.runtime.explain.trees import Paths
from plimsoll.runtime.tensors import Array

CELLS = 2_000_000
"""Rows × leaves × depth that are computed at once: some 100 MB."""
LEAST = 1e-12
"""Instead of a share of zero, by which the product would have to be divided."""


class Contributions(Struct, frozen=True, kw_only=True):
    """`values` is [rows, outputs, features], `base` is [outputs]; their sum is the ensemble's raw output (margin)."""

    values: Array
    base: Array


def contributions(paths: Paths, rows: Array) -> Contributions:
    """The contribution of each feature of `rows` ([rows, features]) to each output."""
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    outputs, features = len(paths.base), rows.shape[1]
    values = np.zeros((len(rows), outputs * features))
    # One place for each output and feature; padding adds zeros to a place of its own row.
    place = paths.target[:, None] * features + paths.feature
    size = max(1, CELLS // max(1, paths.feature.size))
    for first in range(0, len(rows), size):
        given = _of_paths(paths, rows[first : first + size])
        for row, gained in enumerate(given, start=first):
            values[row] = np.bincount(place.ravel(), weights=gained.ravel(), minlength=outputs * features)
    expected = paths.value * paths.share.prod(axis=1)
    base = paths.base + np.bincount(paths.target, weights=expected, minlength=outputs)
    return Contributions(values=values.reshape(len(rows), outputs, features), base=base)


def _of_paths(paths: Paths, rows: Array) -> Array:
    """[rows, leaves, depth]: what each condition of each path adds."""
    one = _meets(paths, rows).astype(np.float64)
    share = np.maximum(paths.share, LEAST)
    points, weights = np.polynomial.legendre.leggauss((share.shape[1] + 1) // 2)
    integral = np.zeros(one.shape)
    for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
        factors = share * (1 - point) + one * point
        integral += weight * factors.prod(axis=2, keepdims=True) / factors
    return paths.value[:, None] * (one - paths.share) * integral


def _meets(paths: Paths, rows: Array) -> Array:
    """[rows, leaves, depth]: whether a row meets a condition."""
    x = rows[:, paths.feature]
    absent = np.isnan(x)
    within = (x >= paths.low) & ((x < paths.high) | np.isnan(paths.high))
    return np.where(absent, paths.missing, within)
