"""When the median rule stops a trial."""

from __future__ import annotations

from plimsoll.engine.sweep.median_rule import MedianRule
from plimsoll.engine.sweep.objective import Objective

LOSS = MedianRule(series=Objective(name="loss", maximize=False))
FINISHED = [[(step, start / step) for step in range(1, 11)] for start in (1.0, 2.0, 3.0)]


def test_a_trial_that_is_worse_than_the_median_at_its_step_is_stopped_with_both_values() -> None:
    reason = LOSS.verdict([(1, 9.0), (2, 5.0)], FINISHED)
    assert reason == "stopped early at step 2: loss 5, the median of others is 1"


def test_a_trial_that_is_as_good_as_the_median_goes_on() -> None:
    assert LOSS.verdict([(1, 9.0), (2, 1.0)], FINISHED) == ""
    assert LOSS.verdict([(1, 0.5), (2, 9.0)], FINISHED) == "", "its best point counts"


def test_what_others_reached_later_does_not_count() -> None:
    assert LOSS.verdict([(1, 2.0)], FINISHED) == "", "later they are at 0.2"


def test_nothing_is_stopped_without_points_before_the_grace_or_while_too_few_have_finished() -> None:
    assert LOSS.verdict([], FINISHED) == ""
    assert LOSS.verdict([(2, 5.0)], FINISHED[:2]) == ""
    assert LOSS.verdict([(2, 5.0)], [*FINISHED[:2], []]) == ""
    patient = MedianRule(series=LOSS.series, grace=3)
    assert patient.verdict([(2, 5.0)], FINISHED) == ""
    assert patient.verdict([(3, 5.0)], FINISHED)


def test_a_series_may_be_better_when_it_is_high() -> None:
    accuracy = MedianRule(series=Objective(name="accuracy", maximize=True))
    finished = [[(1, 0.5)], [(1, 0.6)], [(1, 0.7)]]
    assert accuracy.verdict([(1, 0.4)], finished)
    assert not accuracy.verdict([(1, 0.65)], finished)
