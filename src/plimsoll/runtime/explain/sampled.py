"""SHAP values of any model of numbers, by the library `shap`: permutations of the features against a background.

Within a budget: so many rows are computed by the model for one row that is explained, in so many seconds for all rows
of a request. Base and contributions add up to the output, whatever the budget: what it buys is precision.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec import Struct

from plimsoll.errors import MissingExtra
from plimsoll.runtime.tensors import Array, BadTensor

MOST_BACKGROUND = 50
"""Rows of the background at most: each permutation computes all of them for each feature, twice."""
AT_ONCE = 4096
"""Rows that the model computes between two looks at the clock."""


class Budget(Struct, frozen=True, kw_only=True):
    """`evaluations` is the number of rows that the model computes for one explained row; `seconds` for a request."""

    evaluations: int
    seconds: float


class Spent(Exception):
    """The seconds of the budget have passed."""


class Effort(Struct, frozen=True, kw_only=True):
    """What a budget buys: rows of the background, and permutations of the features, each in both directions."""

    background: int
    permutations: int

    @classmethod
    def of(cls, budget: Budget, features: int, rows: int) -> Effort:
        """For so many features and rows of a background. Raises BadTensor for a budget that buys none."""
        each = 2 * features + 1
        background = min(MOST_BACKGROUND, rows, budget.evaluations // each)
        if background < 1:
            text = f"{features} features need a budget of {each} evaluations at least, not {budget.evaluations}"
            raise BadTensor(f"{text}: raise explain.budget.evaluations")
        return cls(background=background, permutations=budget.evaluations // (each * background))


class Sampler:
    """Explains rows of a matrix by a function from [rows, features] to [rows, outputs]."""

    def __init__(self, compute: Callable[[Array], Array], background: Array, budget: Budget) -> None:
        """Raises BadTensor for a budget that is too small, MissingExtra without shap."""
        shap = _library()
        self._budget = budget
        self.effort = Effort.of(budget, background.shape[1], len(background))
        self.evaluated = 0
        """Rows that the model has computed for the newest request."""
        self._deadline = 0.0
        self._compute = compute
        # Evenly spread, so that a sorted table is no one-sided background.
        some = background[np.linspace(0, len(background) - 1, self.effort.background).round().astype(int)]
        masker = shap.maskers.Independent(some, max_samples=len(some))
        self._explainer: Any = shap.PermutationExplainer(self._within, masker)  # Any: shap has no types
        self._evals = self.effort.permutations * (2 * background.shape[1] + 1)

    def explain(self, rows: Array) -> tuple[Array, Array]:
        """Contributions [rows, outputs, features] and base [rows, outputs]. Raises BadTensor, also when time is up."""
        self._deadline = time.monotonic() + self._budget.seconds
        self.evaluated = 0
        values, base = [], []
        for place, row in enumerate(rows):
            # shap shuffles with numpy's own generator: the same row has the same explanation every time.
            np.random.seed(7)
            try:
                found = self._explainer(row[None, :], max_evals=self._evals, silent=True)
            except Spent:
                seconds = f"{self._budget.seconds:g} s"
                text = f"{len(rows)} rows cannot be explained within the budget of {seconds}: {place} were"
                raise BadTensor(f"{text}; send fewer rows, or change explain.budget") from None
            values.append(found.values.reshape(row.size, -1).T)
            base.append(np.asarray(found.base_values, dtype=np.float64).reshape(-1))
        return np.array(values), np.array(base)

    def _within(self, matrix: Array) -> Array:
        """The outputs of the model, as long as there is time."""
        found = []
        for first in range(0, len(matrix), AT_ONCE):
            if time.monotonic() > self._deadline:
                raise Spent
            found.append(self._compute(np.asarray(matrix[first : first + AT_ONCE], dtype=np.float64)))
        self.evaluated += len(matrix)
        return np.concatenate(found)


def _library() -> Any:  # Any: shap has no types
    """The library, without the compiler that it brings: that takes seconds of each process for loops of a millisecond.

    Raises MissingExtra.
    """
    os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
    try:
        import shap
    except ImportError:
        raise MissingExtra("shap", "explaining models that are no trees") from None
    return shap
