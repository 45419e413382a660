"""Distances between two sets of counts in the same places, and how probable they are without a shift. Pure.

Probabilities are scipy's special functions; the forms for counts are:

- KS: D over the places; Kolmogorov's limit of the two-sample statistic, which is never smaller than the exact value.
- Chi-square of homogeneity of a 2×k table (Pearson).
- A rare event (a missing value, an unseen word): given the events of both samples together, those of one are binomial
  (Przyborowski and Wilenski 1940), two-sided by doubling.
- PSI: sum of (p - q) ln(p / q), half a row added to each place so that an empty one is finite.
- Wasserstein: the area between the two distribution functions, in standard deviations of the reference.
- Jensen-Shannon distance, base 2: 0 for equal, 1 for disjoint.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from plimsoll.errors import MissingExtra
from plimsoll.runtime.tensors import Array


def special() -> Any:
    """scipy's special functions. Raises MissingExtra; imported on first use: they take 26 MB."""
    try:
        import scipy.special
    except ImportError:
        raise MissingExtra("drift", "judging drift") from None
    return scipy.special


def kolmogorov_smirnov(reference: Array, window: Array) -> tuple[float, float]:
    """The largest distance of the distribution functions, signed: positive when the window's values are greater."""
    difference = np.cumsum(reference) / reference.sum() - np.cumsum(window) / window.sum()
    place = int(np.argmax(np.abs(difference)))
    signed = float(difference[place])
    effective = reference.sum() * window.sum() / (reference.sum() + window.sum())
    return signed, float(special().kolmogorov(np.sqrt(effective) * abs(signed)))


def chi_square(reference: Array, window: Array) -> float:
    """The probability of tables as different as these. Places must be wide enough for the approximation: see `wide`."""
    table = np.stack([reference, window]).astype(np.float64)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2:
        return 1.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return float(special().chdtrc(table.shape[1] - 1, statistic))


def wide(reference: Array, fewest: float, share: float) -> Array:
    """The number of a group for each place, in order: neighbours together until the reference has `fewest` in each.

    A group also has at least `share` of the reference, so that the test spends its power on few differences.
    """
    least = max(fewest, share * float(reference.sum()))
    groups = np.zeros(len(reference), dtype=np.int64)
    group, filled = 0, 0.0
    for place, count in enumerate(reference.tolist()):
        groups[place] = group
        filled += count
        if filled >= least:
            group, filled = group + 1, 0.0
    # What is left at the end is too small to stand alone.
    groups[groups == group] = max(0, group - 1)
    return groups


def grouped(counts: Array, groups: Array) -> Array:
    """Counts by group."""
    return np.bincount(groups, weights=counts)


def rare(events: Array, rows: int, reference_events: Array, reference_rows: int) -> Array:
    """Probabilities of shares as different as these, for each place of two arrays; two-sided."""
    special_ = special()
    events, reference_events = np.asarray(events, np.float64), np.asarray(reference_events, np.float64)
    together = events + reference_events
    # The rarer of the event and its absence: the binomial is then closest to the truth, and never too hopeful.
    often = together * 2 > rows + reference_rows
    seen = np.where(often, rows - events, events)
    of = np.where(often, rows + reference_rows - together, together)
    share = rows / (rows + reference_rows)
    at_most = special_.bdtr(seen, of.astype(np.int64), share)
    at_least = np.where(seen > 0, special_.bdtrc(np.maximum(seen - 1, 0), of.astype(np.int64), share), 1.0)
    return np.minimum(1.0, 2 * np.minimum(at_most, at_least))  # type: ignore[no-any-return]


def population_stability(reference: Array, window: Array) -> float:
    """PSI of two sets of counts."""
    smooth = (reference + 0.5) / (reference + 0.5).sum(), (window + 0.5) / (window + 0.5).sum()
    return float(((smooth[1] - smooth[0]) * np.log(smooth[1] / smooth[0])).sum())


def wasserstein(reference: Array, window: Array, centres: Array, spread: float) -> float:
    """The distance in standard deviations of the reference; 0.0 when that has none.

    Values beyond all that the reference saw count as its least or greatest: far ones make it no larger.
    """
    if spread <= 0 or len(centres) < 2:
        return 0.0
    difference = np.cumsum(reference) / reference.sum() - np.cumsum(window) / window.sum()
    return float((np.abs(difference[:-1]) * np.diff(centres)).sum() / spread)


def jensen_shannon(reference: Array, window: Array) -> float:
    """The distance (a metric, base 2) of two sets of counts."""
    entropy = special().rel_entr
    p, q = reference / reference.sum(), window / window.sum()
    middle = (p + q) / 2
    divergence = (entropy(p, middle).sum() + entropy(q, middle).sum()) / 2
    return float(np.sqrt(max(0.0, divergence) / np.log(2)))
