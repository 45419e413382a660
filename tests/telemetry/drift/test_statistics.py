from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plimsoll.telemetry.drift import statistics
from plimsoll.telemetry.drift.binning import bin_edges, count_numbers
from plimsoll.telemetry.drift.features import build_side, numeric_feature
from plimsoll.telemetry.drift.judging import judge_window
from plimsoll.telemetry.drift.limits import DriftLimits
from plimsoll.telemetry.drift.reference import NumericFeature
from plimsoll.telemetry.drift.window import merge_windows, window_of_table

from .streams import rows

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5, 2.0])
def test_ks_and_wasserstein_from_counts_are_those_from_the_values(shift: float) -> None:
    random = np.random.default_rng(5)
    old, new = random.normal(size=4000), random.normal(shift, 1, 1500)
    feature = numeric_feature("x", old)
    counts, _ = count_numbers(new, np.array(feature.edges))
    signed, probability = statistics.kolmogorov_smirnov(np.array(feature.counts), counts)
    exact = scipy.stats.ks_2samp(old, new, method="asymp")
    assert exact.statistic - 0.011 <= abs(signed) <= exact.statistic + 1e-9
    assert probability >= exact.pvalue * 0.99
    distance = statistics.wasserstein(np.array(feature.counts), counts, np.array(feature.centres), feature.spread)
    # What lies beyond the reference's greatest value counts as that.
    within = np.clip(new, old.min(), old.max())
    assert distance == pytest.approx(scipy.stats.wasserstein_distance(old, within) / old.std(), abs=0.05)
    assert shift == 0 or signed > 0


def test_distances_of_categories_are_scipys() -> None:
    old, new = np.array([500, 300, 150, 50]), np.array([40, 35, 15, 30])
    assert statistics.jensen_shannon(old, new) == pytest.approx(scipy.spatial.distance.jensenshannon(old, new, base=2))
    assert statistics.chi_square(old, new) == pytest.approx(
        scipy.stats.chi2_contingency(np.stack([old, new]), correction=False).pvalue
    )


@pytest.mark.parametrize(("events", "before"), [(0, 0), (3, 0), (10, 40), (990, 3900), (5, 2000)])
def test_the_test_of_rare_events_is_no_more_hopeful_than_fishers(events: int, before: int) -> None:
    (ours,) = statistics.rare_event_probabilities(np.array([events]), 1000, np.array([before]), 4000)
    exact = scipy.stats.fisher_exact([[events, 1000 - events], [before, 4000 - before]])
    assert ours >= exact.pvalue * 0.95
    assert ours <= max(1e-9, exact.pvalue * 20, 0.5 if exact.pvalue > 0.1 else 0)


NUMBERS = hnp.arrays(
    np.float32, st.integers(1, 30), elements=st.sampled_from([np.nan, np.inf, -np.inf, 0, -0.0, 1, 1e38, 1e-45, -7.5])
)


@settings(deadline=None, max_examples=30)
@given(old=NUMBERS, new=NUMBERS)
def test_every_value_has_a_bin(old: np.ndarray, new: np.ndarray) -> None:
    feature = numeric_feature("x", old)
    assert sum(feature.counts) + feature.missing == len(old)
    assert list(feature.edges) == sorted(set(feature.edges))
    counts, missing = count_numbers(new, np.array(feature.edges, dtype=feature.dtype))
    assert counts.sum() + missing == len(new)
    assert missing == int(np.isnan(new).sum())
    finite = old[np.isfinite(old)]
    if len(finite):
        beyond = int((new[~np.isnan(new)] < finite.min()).sum()), int((new[~np.isnan(new)] > finite.max()).sum())
        assert (counts[0], counts[-1]) == beyond


def test_a_frequent_value_is_counted_alone() -> None:
    values = np.sort(np.concatenate([np.zeros(900), np.linspace(-1, 1, 100)])).astype(np.float32)
    edges = bin_edges(values)
    counts, _ = count_numbers(values, edges)
    assert 900 in counts
    without_zero, _ = count_numbers(np.array([-1e-30, 1e-30], dtype=np.float32), edges)
    assert without_zero[int(np.argmax(counts))] == 0


def test_windows_add_up_to_the_window_of_all_rows() -> None:
    random = np.random.default_rng(7)
    reference = build_side(rows(random, 2000), "input")
    first, second = rows(random, 300), rows(random, 500)
    both = {name: np.concatenate([first[name], second[name]]) for name in first}
    added = merge_windows([window_of_table(reference, first, NOW), window_of_table(reference, second, NOW)])
    at_once = window_of_table(reference, both, NOW)
    assert added.rows == at_once.rows == 800
    np.testing.assert_array_equal(added.counts, at_once.counts)


def test_false_alarms_stay_below_the_level_even_without_floors() -> None:
    random = np.random.default_rng(11)
    reference = build_side(rows(random, 5000), "input")
    bare = DriftLimits(ks=0, psi=0, distance=0, share=0)
    windows = 150
    alarms = sum(
        any(
            one.alarm for one in judge_window(reference, window_of_table(reference, rows(random, 300), NOW), 0.05, bare)
        )
        for _ in range(windows)
    )
    # 5 % of 150 are 7.5; more than 16 would come once in a thousand times if the level were only just kept.
    assert alarms <= 16


def test_a_difference_that_is_certain_but_small_is_no_alarm() -> None:
    random = np.random.default_rng(13)
    reference = build_side({"x": random.normal(size=200_000)}, "input")
    (found,) = judge_window(
        reference, window_of_table(reference, {"x": random.normal(0.04, 1, 200_000)}, NOW), 0.01, DriftLimits()
    )
    assert found.probability < 1e-6
    assert not found.alarm


def test_the_reference_of_a_text_column_is_of_figures_and_words() -> None:
    reference = build_side(rows(np.random.default_rng(1), 2000), "input")
    names = [feature.name for feature in reference.features if feature.column == "note"]
    assert names == ["note (length)", "note (word count)", "note (unknown words)", "note (signs)", "note (words)"]
    unknown = next(feature for feature in reference.features if feature.name == "note (unknown words)")
    assert isinstance(unknown, NumericFeature)
