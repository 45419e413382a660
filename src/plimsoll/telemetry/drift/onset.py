"""Find the time when a feature began to drift: the most likely change point of its windows. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from plimsoll.runtime.tensors import Array
from plimsoll.telemetry.drift.reference import SideReference
from plimsoll.telemetry.drift.window import Window, bin_offsets


def onset(reference: SideReference, number: int, windows: Sequence[Window]) -> datetime:
    """The begin of the first window that differs from the reference.

    Each cut of the windows into two parts is rated by the likelihood of both parts: the first is drawn from the
    reference, the second from its own distribution. Raises ValueError without windows.
    """
    if not windows:
        raise ValueError("no windows")
    place = bin_offsets(reference)
    feature = reference.features[number]
    own = np.stack([window.counts[place[number] : place[number + 1]] for window in windows])
    missing = np.array([[window.missing[number]] for window in windows])
    live = np.concatenate([own, missing], axis=1).astype(np.float64)
    trained = np.append(np.asarray(feature.counts, dtype=np.float64), feature.missing)
    return windows[_best_cut(live, trained)].begin


def _best_cut(live: Array, trained: Array) -> int:
    """The first row of the part that its own distribution explains best."""
    expected = np.log((trained + 0.5) / (trained + 0.5).sum())
    # Counts from each row to the end, and the gain of a distribution fitted to them over the reference.
    after = np.cumsum(live[::-1], axis=0)[::-1]
    rows = after.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        fitted = np.where(after > 0, np.log(after / rows), 0.0)
    gains = (after * (fitted - expected)).sum(axis=1)
    return int(np.argmax(gains))
