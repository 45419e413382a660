from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.telemetry.drift.feedback import AccuracyScores, LabelledPrediction, PendingPredictions

BEGIN = datetime(2026, 3, 4, 14, 0, tzinfo=UTC)


def test_a_label_finds_its_prediction_once() -> None:
    memory = PendingPredictions()
    memory.add("a", "PUMP", 100.0)
    assert memory.join("a", "HOSE", 160.0) == LabelledPrediction(prediction="PUMP", label="HOSE", late=60.0)
    assert memory.join("a", "HOSE", 161.0) is None
    assert memory.unmatched == 1


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 1000)), max_size=60))
def test_the_number_of_waiting_predictions_is_bounded(seen: list[tuple[int, float]]) -> None:
    memory = PendingPredictions(most=10, oldest=100.0)
    now = 0.0
    for name, after in seen:
        now += after
        memory.add(str(name), name, now)
        assert len(memory) <= 10
    assert memory.join("none", 1, now) is None


def test_old_predictions_are_removed() -> None:
    memory = PendingPredictions(oldest=100.0)
    memory.add("a", 1, 0.0)
    assert memory.join("a", 1, 101.0) is None


def test_falling_accuracy_raises_an_alarm_with_scores_and_onset() -> None:
    scores = AccuracyScores(promised=0.8)
    random = np.random.default_rng(1)
    for number in range(700):
        right = random.random() < (0.8 if number < 500 else 0.4)
        at = BEGIN + timedelta(seconds=number)
        scores.add(LabelledPrediction(prediction="a", label="a" if right else "b", late=1.0), at)
        if number == 499:
            assert scores.alarm() is None
    alarm = scores.alarm()
    assert alarm is not None
    assert alarm.words.startswith("accuracy 0.6")
    assert alarm.words.endswith("0.80 was promised; worse since 14:08")
    assert abs((alarm.since - BEGIN).total_seconds() - 500) < 30
    # ADWIN sees the change by itself.
    assert scores.changed is not None
    assert scores.changed > BEGIN + timedelta(seconds=500)


def test_floats_are_scored_as_regression() -> None:
    scores = AccuracyScores()
    for guess, truth in ((1.0, 2.0), (3.0, 3.0)):
        scores.add(LabelledPrediction(prediction=guess, label=truth, late=0.0), BEGIN)
    scores.add(LabelledPrediction(prediction=1.0, label="no number", late=0.0), BEGIN)
    assert scores.figures()["mean_absolute_error"] == pytest.approx(0.5)
    assert scores.alarm() is None
