from __future__ import annotations

import numpy as np
import pytest

from plimsoll.screens.membership import area, attack, true_positives, wilson


def test_the_area_is_that_of_all_pairs_and_ties_count_half() -> None:
    members, others = np.array([3.0, 1.0, 2.0, 2.0]), np.array([2.0, 0.0, 1.0])
    pairs = [(m > o) + (m == o) / 2 for m in members for o in others]
    assert area(members, others)[0] == pytest.approx(sum(pairs) / len(pairs))


def test_an_attack_that_guesses_has_a_half_within_its_interval_and_one_that_knows_does_not() -> None:
    inside = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        found = attack("x", rng.normal(size=150), rng.normal(size=120))
        inside += found.auc_low <= 0.5 <= found.auc_high
    assert 180 <= inside <= 198
    known = attack("x", np.arange(100.0) + 1000, np.arange(100.0))
    assert known.auc == known.tpr == known.auc_high == 1
    assert 0.9 < known.auc_low < 1
    assert 0.9 < known.tpr_low < 1


def test_true_positives_are_counted_above_what_one_other_in_a_hundred_is_above() -> None:
    others = np.arange(200.0)
    assert true_positives(np.array([196.5, 197.5, 198.0, 250.0]), others) == 0.75
    assert true_positives(others, others) == pytest.approx(0.01)


def test_the_interval_of_a_share_never_leaves_nought_to_one_and_narrows_with_rows() -> None:
    assert wilson(0.0, 30)[0] == 0
    assert wilson(1.0, 30)[1] == 1
    assert wilson(0.1, 3000)[1] - wilson(0.1, 3000)[0] < wilson(0.1, 30)[1] - wilson(0.1, 30)[0]
