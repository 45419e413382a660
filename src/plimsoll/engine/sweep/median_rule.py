"""Early stopping by the median rule. Pure.

A trial is stopped when its best point so far is worse than the median of the best points, up to the same step, of the
trials that have finished. The rule is the one of Google Vizier and Optuna's MedianPruner.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from msgspec import Struct

from plimsoll.engine.sweep.objective import Objective

Curve = Sequence[tuple[float, float]]
"""Points of a series: step and value."""
FINISHED = 3
"""Finished trials that the rule needs: the median of fewer says little."""


class MedianRule(Struct, frozen=True, kw_only=True):
    """Watches `series`; before step `grace` nothing is stopped."""

    series: Objective
    grace: float = 0.0

    def verdict(self, curve: Curve, finished: Iterable[Curve]) -> str:
        """Why a trial with this curve is to be stopped; empty when it is to go on."""
        if not curve:
            return ""
        step = max(at for at, _ in curve)
        others = [best for other in finished if (best := self._best(other, step)) is not None]
        mine = self._best(curve, step)
        if step < self.grace or mine is None or len(others) < FINISHED:
            return ""
        median = statistics.median(others)
        if not self.series.better(median, mine):
            return ""
        return f"stopped early at step {step:g}: {self.series.name} {mine:.4g}, the median of others is {median:.4g}"

    def _best(self, curve: Curve, step: float) -> float | None:
        values = [value for at, value in curve if at <= step]
        return self.series.best(values) if values else None
