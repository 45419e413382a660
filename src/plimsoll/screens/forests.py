"""Trees that say which label a row should have, by rows other than it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

if TYPE_CHECKING:
    from plimsoll.runtime.tensors import Array

TREES = 150
MOST_TRIED = 64
"""Axes of which the best is looked for at each split, or the square root of all."""


class Unseen(Struct, frozen=True):
    """The probability of each class for each row by trees that have not seen it, and how much each axis tells.

    `probabilities` is [rows, classes], by number of class; `weights` [axes] sum to 1.
    """

    probabilities: Array
    weights: Array


def forest(trees: int, axes: int, *, unseen: bool = False) -> Any:  # Any: scikit-learn has no types
    """Trees with a fixed seed; `unseen` keeps for each row what the trees say that have not seen it."""
    from sklearn.ensemble import ExtraTreesClassifier

    tried = max(math.isqrt(axes), min(int(0.4 * axes), MOST_TRIED), 1)
    return ExtraTreesClassifier(
        n_estimators=trees,
        min_samples_leaf=2,
        max_features=tried,
        bootstrap=True,
        oob_score=unseen,
        n_jobs=1,
        random_state=0,
    )


def unseen(points: Array, labels: Array) -> Unseen:
    """What trees say of rows that they have not seen."""
    model = forest(TREES, points.shape[1], unseen=True)
    model.fit(points, labels)
    found = np.zeros((len(labels), int(labels.max()) + 1), dtype=np.float64)
    found[:, model.classes_] = np.nan_to_num(model.oob_decision_function_)
    return Unseen(found, np.asarray(model.feature_importances_))
