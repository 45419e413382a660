"""Since when a feature is not what it was: the change point that the windows themselves show best. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from plimsoll.runtime.tensors import Array
from plimsoll.telemetry.drift.reference import Reference
from plimsoll.telemetry.drift.window import Window, offsets


def onset(reference: Reference, number: int, windows: Sequence[Window]) -> datetime:
    """The begin of the first window that is not like the reference.

    Each way of cutting the windows in two is rated by the likelihood of both halves: the first drawn from the
    reference, the second from a distribution of its own. Raises ValueError without windows.
    """
    if not windows:
        raise ValueError("no windows")
    place = offsets(reference)
    feature = reference.features[number]
    own = np.stack([window.counts[place[number] : place[number + 1]] for window in windows])
    missing = np.array([[window.missing[number]] for window in windows])
    live = np.concatenate([own, missing], axis=1).astype(np.float64)
    told = np.append(np.asarray(feature.counts, dtype=np.float64), feature.missing)
    return windows[_best_cut(live, told)].begin


def _best_cut(live: Array, told: Array) -> int:
    """The row from which on a distribution of its own explains most."""
    expected = np.log((told + 0.5) / (told + 0.5).sum())
    # Counts from each row to the end, and what a distribution fitted to them gains over the reference.
    after = np.cumsum(live[::-1], axis=0)[::-1]
    rows = after.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        fitted = np.where(after > 0, np.log(after / rows), 0.0)
    gains = (after * (fitted - expected)).sum(axis=1)
    return int(np.argmax(gains))
