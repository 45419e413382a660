"""A window against the reference: what differs, how improbable that is, and whether it is an alarm. Pure.

Each feature is tested in several ways and its smallest probability multiplied by their number (Bonferroni); over the
features Holm's procedure (1979) keeps the chance of any false alarm below the level, whatever their dependence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from plimsoll.runtime.tensors import Array
from plimsoll.telemetry.drift import statistics
from plimsoll.telemetry.drift.limits import Limits
from plimsoll.telemetry.drift.reference import CategoricalFeature, Feature, NumericFeature, Reference, WordsFeature
from plimsoll.telemetry.drift.window import Window, offsets

CERTAIN = 1e-6
FEWEST = 30
"""Rows of a feature in a window below which nothing is said of it."""
EXPECTED = 5.0
"""Rows that the smaller sample must have in a group of the chi-square test (Cochran 1954)."""
GROUPS = 0.02
"""Share of the reference in a group: fine enough for a column of which nine tenths are zero."""


class Test(NamedTuple):
    """One way in which a feature may differ: `large` says whether the difference is one that matters."""

    statistic: str
    value: float
    probability: float
    large: bool
    direction: str


class Comparison(Struct, frozen=True, kw_only=True):
    """One feature of one window. `statistic`, `value` and `direction` are of the difference that decides.

    `figures` has every distance by name (`ks`, `psi`, `wasserstein`, `jensen_shannon`, `missing`). `probability` is
    that of a difference as large without a shift, corrected for the tests of the feature; `alarm` is after Holm's
    correction over all features and says that the difference is large as well.
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


def judge(reference: Reference, window: Window, level: float, limits: Limits) -> tuple[Comparison, ...]:
    """Every feature that has enough rows, in the reference's order. `level` is for the window as a whole."""
    found = []
    place = offsets(reference)
    for number, feature in enumerate(reference.features):
        counts = window.counts[place[number] : place[number + 1]]
        compared = compare(reference, feature, counts, int(window.missing[number]), limits)
        if compared is not None:
            found.append(compared)
    return tuple(_holm(found, level))


def compare(reference: Reference, feature: Feature, counts: Array, missing: int, limits: Limits) -> Comparison | None:
    """One feature; `None` when too few rows had it."""
    texts = isinstance(feature, WordsFeature)
    seen = int(counts[-1]) if texts else int(counts.sum())
    known = feature.counts[-1] if texts else sum(feature.counts)
    if seen + missing < FEWEST:
        return None
    told = np.asarray(feature.counts, dtype=np.int64)
    tests = [_missing(feature, missing, seen, known, limits)]
    figures = {"missing": missing / (seen + missing)}
    if seen >= FEWEST and known:
        _WAYS[type(feature)](feature, told, counts, (seen, known), limits, tests, figures)
    # What matters first, and of that the most improbable; the larger value decides between two that are beyond doubt.
    decisive = min(tests, key=lambda test: (not test.large, test.probability, -abs(test.value)))
    told_test = _told(tests, decisive)
    return Comparison(
        feature=feature.name,
        side=reference.side,
        rows=seen + missing,
        statistic=told_test.statistic,
        value=told_test.value,
        probability=min(1.0, decisive.probability * len(tests)),
        direction=told_test.direction,
        figures=figures,
        large=decisive.large,
    )


def _told(tests: Sequence[Test], decisive: Test) -> Test:
    """The test that is told: KS, which people know, where it is as good as certain of what PSI found too."""
    if decisive.statistic == "PSI":
        for test in tests:
            if test.statistic == "KS" and test.large and test.probability < CERTAIN:
                return test
    return decisive


def _holm(found: Sequence[Comparison], level: float) -> list[Comparison]:
    """Alarms by Holm's step-down procedure."""
    order = sorted(range(len(found)), key=lambda place: found[place].probability)
    alarms = set()
    for rank, place in enumerate(order):
        if found[place].probability > level / (len(found) - rank):
            break
        alarms.add(place)
    return [replace(one, alarm=place in alarms and one.large) for place, one in enumerate(found)]


def _missing(feature: Feature, missing: int, seen: int, known: int, limits: Limits) -> Test:
    rows, reference_rows = missing + seen, feature.missing + known
    share, before = missing / rows, feature.missing / max(1, reference_rows)
    (probability,) = statistics.rare(np.array([missing]), rows, np.array([feature.missing]), reference_rows)
    direction = f"missing {'rose' if share > before else 'fell'} from {_per_cent(before)} to {_per_cent(share)}"
    return Test("missing", share, float(probability), abs(share - before) >= limits.share, direction)


def _numeric(
    feature: NumericFeature,
    told: Array,
    counts: Array,
    _: tuple[int, int],
    limits: Limits,
    tests: list[Test],
    figures: dict[str, float],
) -> None:
    signed, probability = statistics.kolmogorov_smirnov(told, counts)
    groups = statistics.wide(told, EXPECTED * max(1.0, told.sum() / counts.sum()), GROUPS)
    coarse = statistics.grouped(told, groups), statistics.grouped(counts, groups)
    stability = statistics.population_stability(*coarse)
    centres = np.array(feature.centres)
    figures["ks"] = abs(signed)
    figures["psi"] = stability
    figures["wasserstein"] = statistics.wasserstein(told, counts, centres, feature.spread)
    direction = _direction(told, counts)
    tests.append(Test("KS", abs(signed), probability, abs(signed) >= limits.ks, direction))
    tests.append(Test("PSI", stability, statistics.chi_square(*coarse), stability >= limits.psi, direction))
    tests.append(_outside(told, counts, limits))


def _outside(told: Array, counts: Array, limits: Limits) -> Test:
    """Values beyond the least and the greatest that training saw."""
    rows, known = int(counts.sum()), int(told.sum())
    beyond, before = counts[[0, -1]].sum() if len(counts) > 1 else 0, 0
    (probability,) = statistics.rare(np.array([beyond]), rows, np.array([before]), known)
    where = "above" if counts[-1] > counts[0] else "below"
    share = float(beyond / rows)
    words = f"{_per_cent(share)} outside of all that training saw, most of it {where}"
    return Test("outside", share, float(probability), share >= limits.share, words)


def _direction(told: Array, counts: Array) -> str:
    """Up, down, wider or narrower, by where the distribution functions lie apart."""
    difference = np.cumsum(told) / told.sum() - np.cumsum(counts) / counts.sum()
    above, below = float(difference.max()), float(-difference.min())
    if min(above, below) < max(above, below) / 3:
        return "shifted up" if above > below else "shifted down"
    return "spread wider" if int(np.argmax(difference)) > int(np.argmin(difference)) else "drawn together"


def _categorical(
    feature: CategoricalFeature,
    told: Array,
    counts: Array,
    _: tuple[int, int],
    limits: Limits,
    tests: list[Test],
    figures: dict[str, float],
) -> None:
    distance = statistics.jensen_shannon(told, counts)
    figures["jensen_shannon"] = distance
    figures["psi"] = statistics.population_stability(told, counts)
    enough = told >= EXPECTED * max(1.0, told.sum() / counts.sum())
    groups = np.where(enough, np.cumsum(enough), 0)
    probability = statistics.chi_square(statistics.grouped(told, groups), statistics.grouped(counts, groups))
    shares = counts / counts.sum() - told / told.sum()
    most = int(np.argmax(np.abs(shares)))
    names = [*(f"'{value}'" for value in feature.values), "what training saw seldom or never"]
    rose = "rose" if shares[most] > 0 else "fell"
    before, now = told[most] / told.sum(), counts[most] / counts.sum()
    direction = f"{names[most]} {rose} from {_per_cent(before)} to {_per_cent(now)}"
    tests.append(Test("JS", distance, probability, distance >= limits.distance, direction))
    (probability,) = statistics.rare(counts[-1:], int(counts.sum()), told[-1:], int(told.sum()))
    unseen = f"values that training saw seldom or never rose to {_per_cent(counts[-1] / counts.sum())}"
    share, sure = float(counts[-1] / counts.sum()), float(probability) if shares[-1] > 0 else 1.0
    tests.append(Test("unseen", share, sure, float(shares[-1]) >= limits.share, unseen))


def _words(
    feature: WordsFeature,
    told: Array,
    counts: Array,
    rows: tuple[int, int],
    limits: Limits,
    tests: list[Test],
    figures: dict[str, float],
) -> None:
    seen, known = rows
    if not feature.words:
        return
    told, counts = told[:-1], counts[:-1]
    probabilities = statistics.rare(counts, seen, told, known) * len(told)
    changes = counts / seen - told / known
    figures["largest_change"] = float(np.abs(changes).max())
    large = np.abs(changes) >= limits.share
    most = int(np.lexsort((-np.abs(changes), probabilities, ~large))[0])
    order = np.argsort(np.where(probabilities < 0.01, -np.abs(changes), 0.0), kind="stable")[:4]
    sure = [place for place in order.tolist() if probabilities[place] < 0.01]
    parts = [
        f"'{feature.words[place]}' {'rose' if changes[place] > 0 else 'fell'} from {_per_cent(told[place] / known)} "
        f"to {_per_cent(counts[place] / seen)}"
        for place in sure or [most]
    ]
    change = float(abs(changes[most]))
    tests.append(Test("words", change, min(1.0, float(probabilities[most])), bool(large[most]), ", ".join(parts)))


_WAYS: dict[type, Callable[..., None]] = {
    NumericFeature: _numeric,
    CategoricalFeature: _categorical,
    WordsFeature: _words,
}


def _per_cent(share: float) -> str:
    return f"{share * 100:.2g} %" if share < 0.995 else "100 %"
