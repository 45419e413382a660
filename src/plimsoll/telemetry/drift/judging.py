"""Compare a window with the reference: differences, their probabilities, and alarms. Pure.

Each feature has several tests, and its smallest probability is multiplied by their number (Bonferroni). The procedure
of Holm (1979) keeps the chance of any false alarm among the features below the level, whatever their dependence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from plimsoll.runtime.tensors import Array
from plimsoll.telemetry.drift import statistics
from plimsoll.telemetry.drift.limits import DriftLimits
from plimsoll.telemetry.drift.reference import CategoricalFeature, Feature, NumericFeature, SideReference, WordsFeature
from plimsoll.telemetry.drift.window import Window, bin_offsets

NEAR_CERTAIN = 1e-6
MIN_ROWS = 30
"""Fewest rows of a feature in a window for a comparison."""
MIN_EXPECTED = 5.0
"""Expected rows of the smaller sample in each group of the chi-square test (Cochran 1954)."""
MIN_GROUP_SHARE = 0.02
"""Least share of the reference in a group: small enough for a column with nine tenths of zeros."""


class FeatureTest(NamedTuple):
    """One test of a feature. `large` says whether the difference is large enough to matter."""

    statistic: str
    value: float
    probability: float
    large: bool
    direction: str


class FeatureComparison(Struct, frozen=True, kw_only=True):
    """The comparison of one feature of one window. `statistic`, `value` and `direction` are of the decisive test.

    `figures` has each distance by name (`ks`, `psi`, `wasserstein`, `jensen_shannon`, `missing`). `probability` is the
    chance of such a difference without drift, corrected for the tests of the feature. `alarm` needs a large difference
    that is significant after Holm's correction over all features.
    """

    feature: str
    side: str
    rows: int
    statistic: str
    value: float
    probability: float
    direction: str
    figures: dict[str, float]
    large: bool = False
    alarm: bool = False


def judge_window(
    reference: SideReference, window: Window, level: float, limits: DriftLimits
) -> tuple[FeatureComparison, ...]:
    """Compare each feature with enough rows, in the reference's order. `level` is for the whole window."""
    found = []
    place = bin_offsets(reference)
    for number, feature in enumerate(reference.features):
        counts = window.counts[place[number] : place[number + 1]]
        compared = compare_feature(reference, feature, counts, int(window.missing[number]), limits)
        if compared is not None:
            found.append(compared)
    return tuple(_apply_holm(found, level))


def compare_feature(
    reference: SideReference, feature: Feature, counts: Array, missing: int, limits: DriftLimits
) -> FeatureComparison | None:
    """Compare one feature; `None` with too few rows."""
    texts = isinstance(feature, WordsFeature)
    seen = int(counts[-1]) if texts else int(counts.sum())
    known = feature.counts[-1] if texts else sum(feature.counts)
    if seen + missing < MIN_ROWS:
        return None
    trained = np.asarray(feature.counts, dtype=np.int64)
    tests = [_test_missing(feature, missing, seen, known, limits)]
    figures = {"missing": missing / (seen + missing)}
    if seen >= MIN_ROWS and known:
        _TESTS[type(feature)](feature, trained, counts, (seen, known), limits, tests, figures)
    # Prefer large differences, then the least probable; the larger value decides between two of probability 0.
    decisive = min(tests, key=lambda test: (not test.large, test.probability, -abs(test.value)))
    reported = _reported_test(tests, decisive)
    return FeatureComparison(
        feature=feature.name,
        side=reference.side,
        rows=seen + missing,
        statistic=reported.statistic,
        value=reported.value,
        probability=min(1.0, decisive.probability * len(tests)),
        direction=reported.direction,
        figures=figures,
        large=decisive.large,
    )


def _reported_test(tests: Sequence[FeatureTest], decisive: FeatureTest) -> FeatureTest:
    """The test to report: KS, which people know, in place of PSI when KS is nearly certain too."""
    if decisive.statistic == "PSI":
        for test in tests:
            if test.statistic == "KS" and test.large and test.probability < NEAR_CERTAIN:
                return test
    return decisive


def _apply_holm(found: Sequence[FeatureComparison], level: float) -> list[FeatureComparison]:
    """Set alarms by Holm's step-down procedure."""
    order = sorted(range(len(found)), key=lambda place: found[place].probability)
    alarms = set()
    for rank, place in enumerate(order):
        if found[place].probability > level / (len(found) - rank):
            break
        alarms.add(place)
    return [replace(one, alarm=place in alarms and one.large) for place, one in enumerate(found)]


def _test_missing(feature: Feature, missing: int, seen: int, known: int, limits: DriftLimits) -> FeatureTest:
    rows, reference_rows = missing + seen, feature.missing + known
    share, before = missing / rows, feature.missing / max(1, reference_rows)
    (probability,) = statistics.rare_event_probabilities(
        np.array([missing]), rows, np.array([feature.missing]), reference_rows
    )
    direction = f"missing {'rose' if share > before else 'fell'} from {_per_cent(before)} to {_per_cent(share)}"
    return FeatureTest("missing", share, float(probability), abs(share - before) >= limits.share, direction)


def _test_numeric(
    feature: NumericFeature,
    trained: Array,
    counts: Array,
    _: tuple[int, int],
    limits: DriftLimits,
    tests: list[FeatureTest],
    figures: dict[str, float],
) -> None:
    signed, probability = statistics.kolmogorov_smirnov(trained, counts)
    groups = statistics.group_bins(trained, MIN_EXPECTED * max(1.0, trained.sum() / counts.sum()), MIN_GROUP_SHARE)
    coarse = statistics.sum_by_group(trained, groups), statistics.sum_by_group(counts, groups)
    stability = statistics.population_stability(*coarse)
    centres = np.array(feature.centres)
    figures["ks"] = abs(signed)
    figures["psi"] = stability
    figures["wasserstein"] = statistics.wasserstein(trained, counts, centres, feature.spread)
    direction = _direction(trained, counts)
    tests.append(FeatureTest("KS", abs(signed), probability, abs(signed) >= limits.ks, direction))
    tests.append(FeatureTest("PSI", stability, statistics.chi_square(*coarse), stability >= limits.psi, direction))
    tests.append(_test_outside(trained, counts, limits))


def _test_outside(trained: Array, counts: Array, limits: DriftLimits) -> FeatureTest:
    """Test the share of values outside the range of training."""
    rows, known = int(counts.sum()), int(trained.sum())
    beyond, before = counts[[0, -1]].sum() if len(counts) > 1 else 0, 0
    (probability,) = statistics.rare_event_probabilities(np.array([beyond]), rows, np.array([before]), known)
    where = "above" if counts[-1] > counts[0] else "below"
    share = float(beyond / rows)
    words = f"{_per_cent(share)} outside the range of training, most of it {where}"
    return FeatureTest("outside", share, float(probability), share >= limits.share, words)


def _direction(trained: Array, counts: Array) -> str:
    """The direction of the shift: up, down, wider or narrower, from the difference of the distribution functions."""
    difference = np.cumsum(trained) / trained.sum() - np.cumsum(counts) / counts.sum()
    above, below = float(difference.max()), float(-difference.min())
    if min(above, below) < max(above, below) / 3:
        return "shifted up" if above > below else "shifted down"
    return "spread wider" if int(np.argmax(difference)) > int(np.argmin(difference)) else "narrowed"


def _test_categorical(
    feature: CategoricalFeature,
    trained: Array,
    counts: Array,
    _: tuple[int, int],
    limits: DriftLimits,
    tests: list[FeatureTest],
    figures: dict[str, float],
) -> None:
    distance = statistics.jensen_shannon(trained, counts)
    figures["jensen_shannon"] = distance
    figures["psi"] = statistics.population_stability(trained, counts)
    enough = trained >= MIN_EXPECTED * max(1.0, trained.sum() / counts.sum())
    groups = np.where(enough, np.cumsum(enough), 0)
    probability = statistics.chi_square(
        statistics.sum_by_group(trained, groups), statistics.sum_by_group(counts, groups)
    )
    shares = counts / counts.sum() - trained / trained.sum()
    most = int(np.argmax(np.abs(shares)))
    names = [*(f"'{value}'" for value in feature.values), "values rare or absent in training"]
    rose = "rose" if shares[most] > 0 else "fell"
    before, now = trained[most] / trained.sum(), counts[most] / counts.sum()
    direction = f"{names[most]} {rose} from {_per_cent(before)} to {_per_cent(now)}"
    tests.append(FeatureTest("JS", distance, probability, distance >= limits.distance, direction))
    (probability,) = statistics.rare_event_probabilities(
        counts[-1:], int(counts.sum()), trained[-1:], int(trained.sum())
    )
    unseen = f"values rare or absent in training rose to {_per_cent(counts[-1] / counts.sum())}"
    share, sure = float(counts[-1] / counts.sum()), float(probability) if shares[-1] > 0 else 1.0
    tests.append(FeatureTest("unseen", share, sure, float(shares[-1]) >= limits.share, unseen))


def _test_words(
    feature: WordsFeature,
    trained: Array,
    counts: Array,
    rows: tuple[int, int],
    limits: DriftLimits,
    tests: list[FeatureTest],
    figures: dict[str, float],
) -> None:
    seen, known = rows
    if not feature.words:
        return
    trained, counts = trained[:-1], counts[:-1]
    probabilities = statistics.rare_event_probabilities(counts, seen, trained, known) * len(trained)
    changes = counts / seen - trained / known
    figures["largest_change"] = float(np.abs(changes).max())
    large = np.abs(changes) >= limits.share
    most = int(np.lexsort((-np.abs(changes), probabilities, ~large))[0])
    order = np.argsort(np.where(probabilities < 0.01, -np.abs(changes), 0.0), kind="stable")[:4]
    sure = [place for place in order.tolist() if probabilities[place] < 0.01]
    parts = [
        f"'{feature.words[place]}' {'rose' if changes[place] > 0 else 'fell'} from {_per_cent(trained[place] / known)} "
        f"to {_per_cent(counts[place] / seen)}"
        for place in sure or [most]
    ]
    change = float(abs(changes[most]))
    tests.append(
        FeatureTest("words", change, min(1.0, float(probabilities[most])), bool(large[most]), ", ".join(parts))
    )


_TESTS: dict[type, Callable[..., None]] = {
    NumericFeature: _test_numeric,
    CategoricalFeature: _test_categorical,
    WordsFeature: _test_words,
}


def _per_cent(share: float) -> str:
    return f"{share * 100:.2g} %" if share < 0.995 else "100 %"
