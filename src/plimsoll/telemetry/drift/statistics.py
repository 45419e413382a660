"""Distances between two sets of counts in the same bins, and their probabilities without drift. Pure.

Probabilities use scipy's special functions. The forms for counts are:

- KS: D over the bins; Kolmogorov's limit of the two-sample statistic, which is never smaller than the exact value.
- Chi-square of homogeneity of a 2×k table (Pearson).
- A rare event (a missing value, an unseen word): given the total of events, those of one sample are binomial
  (Przyborowski and Wilenski 1940), two-sided by doubling.
- PSI: sum of (p - q) ln(p / q), with half a row added to each bin so that empty bins stay finite.
- Wasserstein: the area between the two distribution functions, in standard deviations of the reference.
- Jensen-Shannon distance, base 2: 0 for equal, 1 for disjoint.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from plimsoll.errors import MissingExtra
from plimsoll.runtime.tensors import Array


def scipy_special() -> ModuleType:
    """scipy's special functions, imported on first use because they take 26 MB. Raises MissingExtra without scipy."""
    try:
        import scipy.special
    except ImportError:
        raise MissingExtra("drift", "judging drift") from None
    module: ModuleType = scipy.special
    return module


def kolmogorov_smirnov(reference: Array, window: Array) -> tuple[float, float]:
    """The largest difference of the distribution functions, positive when the window is higher, and its probability."""
    difference = np.cumsum(reference) / reference.sum() - np.cumsum(window) / window.sum()
    place = int(np.argmax(np.abs(difference)))
    signed = float(difference[place])
    effective = reference.sum() * window.sum() / (reference.sum() + window.sum())
    return signed, float(scipy_special().kolmogorov(np.sqrt(effective) * abs(signed)))


def chi_square(reference: Array, window: Array) -> float:
    """The probability of such a difference. Bins must be wide enough for the approximation: see `group_bins`."""
    table = np.stack([reference, window]).astype(np.float64)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2:
        return 1.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return float(scipy_special().chdtrc(table.shape[1] - 1, statistic))


def group_bins(reference: Array, fewest: float, share: float) -> Array:
    """Group neighbouring bins until each group has `fewest` rows of the reference. Returns the group of each bin.

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
    # The last group is too small, so it joins the one before.
    groups[groups == group] = max(0, group - 1)
    return groups


def sum_by_group(counts: Array, groups: Array) -> Array:
    """Sum counts by group."""
    return np.bincount(groups, weights=counts)


def rare_event_probabilities(events: Array, rows: int, reference_events: Array, reference_rows: int) -> Array:
    """The two-sided probability of such a difference of shares, for each position of two arrays."""
    special_ = scipy_special()
    events, reference_events = np.asarray(events, np.float64), np.asarray(reference_events, np.float64)
    together = events + reference_events
    # Use the rarer of the event and its absence: the binomial is then most exact, and never underestimates.
    often = together * 2 > rows + reference_rows
    seen = np.where(often, rows - events, events)
    of = np.where(often, rows + reference_rows - together, together)
    share = rows / (rows + reference_rows)
    at_most = special_.bdtr(seen, of.astype(np.int64), share)
    at_least = np.where(seen > 0, special_.bdtrc(np.maximum(seen - 1, 0), of.astype(np.int64), share), 1.0)
    return np.minimum(1.0, 2 * np.minimum(at_most, at_least))  # type: ignore[no-any-return]


def population_stability(reference: Array, window: Array) -> float:
    """The population stability index (PSI) of two sets of counts."""
    smooth = (reference + 0.5) / (reference + 0.5).sum(), (window + 0.5) / (window + 0.5).sum()
    return float(((smooth[1] - smooth[0]) * np.log(smooth[1] / smooth[0])).sum())


def wasserstein(reference: Array, window: Array, centres: Array, spread: float) -> float:
    """The Wasserstein distance in standard deviations of the reference; 0.0 when the reference has no spread.

    Values outside the range of the reference count as its least or greatest value.
    """
    if spread <= 0 or len(centres) < 2:
        return 0.0
    difference = np.cumsum(reference) / reference.sum() - np.cumsum(window) / window.sum()
    return float((np.abs(difference[:-1]) * np.diff(centres)).sum() / spread)


def jensen_shannon(reference: Array, window: Array) -> float:
    """The Jensen-Shannon distance (a metric, base 2) of two sets of counts."""
    entropy = scipy_special().rel_entr
    p, q = reference / reference.sum(), window / window.sum()
    middle = (p + q) / 2
    divergence = (entropy(p, middle).sum() + entropy(q, middle).sum()) / 2
    return float(np.sqrt(max(0.0, divergence) / np.log(2)))
