from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from plimsoll.telemetry.drift.feedback import AccuracyScores
from plimsoll.telemetry.drift.pending import LabelledPrediction

BEGIN = datetime(2026, 3, 4, 14, 0, tzinfo=UTC)


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
