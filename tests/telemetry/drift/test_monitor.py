from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest

from plimsoll.telemetry.drift.features import build_side
from plimsoll.telemetry.drift.monitor import DriftMonitor

from .streams import BEGIN, Columns, reference, rows, stream

Shift = Callable[[np.random.Generator, Columns], None]


def up(_: np.random.Generator, columns: Columns) -> None:
    columns["hours_idle"] = columns["hours_idle"] + np.float32(1.4)


def wider(_: np.random.Generator, columns: Columns) -> None:
    columns["hours_idle"] = (columns["hours_idle"] - 8) * np.float32(1.5) + 8


def far_outside(random: np.random.Generator, columns: Columns) -> None:
    wrong = random.random(len(columns["load"])) < 0.03
    columns["load"] = np.where(wrong, columns["load"] * 1000, columns["load"]).astype(np.float32)


def missing(random: np.random.Generator, columns: Columns) -> None:
    wrong = random.random(len(columns["load"])) < 0.03
    columns["load"] = np.where(wrong, np.nan, columns["load"]).astype(np.float32)


def counts(random: np.random.Generator, columns: Columns) -> None:
    columns["starts"] = random.poisson(6, len(columns["starts"]))


def other_site(random: np.random.Generator, columns: Columns) -> None:
    columns["site"] = np.where(random.random(len(columns["site"])) < 0.15, "west", columns["site"]).astype(object)


def new_site(random: np.random.Generator, columns: Columns) -> None:
    columns["site"] = np.where(random.random(len(columns["site"])) < 0.03, "moon", columns["site"]).astype(object)


def new_words(random: np.random.Generator, columns: Columns) -> None:
    wrong = random.random(len(columns["note"])) < 0.2
    columns["note"] = np.array(
        [f"{text} hydraulikschlauch" if bad else text for text, bad in zip(columns["note"], wrong, strict=True)],
        dtype=object,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shift", "feature", "says"),
    [
        (up, "hours_idle", "KS 0.2"),
        (wider, "hours_idle", "spread wider since 14:01"),
        (far_outside, "load", "% outside the range of training, most of it above since 14:01"),
        (missing, "load", "missing rose from 0 % to"),
        (counts, "starts", "shifted up since 14:01"),
        (other_site, "site", "'west' rose from 5 % to"),
        (new_site, "site", "rare or absent in training rose"),
        (new_words, "note (unknown words)", "outside the range of training, most of it above since 14:01"),
    ],
)
def test_a_shift_is_found_within_a_minute_with_feature_direction_and_onset(
    shift: Shift, feature: str, says: str
) -> None:
    monitor = DriftMonitor(reference(), BEGIN)
    changes = stream(monitor, 120, lambda random, columns, second: shift(random, columns) if second >= 60 else None)
    raised = {change.alarm.feature: change for change in changes if change.raised}
    assert feature in raised, [change.alarm.words for change in changes]
    assert says in raised[feature].alarm.words
    assert raised[feature].alarm.words.startswith(f"feature {feature}: ")
    assert timedelta(0) < raised[feature].at - (BEGIN + timedelta(seconds=60)) <= timedelta(seconds=60)
    assert raised[feature].alarm.since == BEGIN + timedelta(seconds=60)
    # What did not shift says nothing.
    assert {name.partition(" ")[0] for name in raised} == {feature.partition(" ")[0]}


def test_fifteen_minutes_without_drift_raise_no_alarm() -> None:
    monitor = DriftMonitor(reference(), BEGIN)
    assert stream(monitor, 900, texts=False) == []
    assert monitor.judged == 90
    assert monitor.rows == 90_000


def test_an_alarm_is_cleared_when_the_feature_matches_training_again() -> None:
    monitor = DriftMonitor(reference(), BEGIN)
    changes = stream(
        monitor, 500, lambda random, columns, second: up(random, columns) if 60 <= second < 120 else None, texts=False
    )
    assert [(change.alarm.feature, change.raised) for change in changes] == [
        ("hours_idle", True),
        ("hours_idle", False),
    ]
    assert monitor.alarms == {}


def test_few_rows_wait_until_they_are_enough_to_judge() -> None:
    monitor = DriftMonitor(reference(), BEGIN)
    stream(monitor, 120, a_second=1)
    assert monitor.judged == 0
    stream(monitor, 120, a_second=2)
    assert monitor.judged >= 1


@pytest.mark.slow
def test_memory_does_not_grow_with_the_stream() -> None:
    monitor = DriftMonitor(reference(), BEGIN)
    random = np.random.default_rng(3)
    columns = {name: column for name, column in rows(random, 1000).items() if name != "note"}

    def held() -> int:
        windows = sum(window.counts.nbytes + window.missing.nbytes for window in monitor._windows)
        return windows + sum(column.nbytes for waiting in monitor._waiting for column in waiting.values())

    sizes = []
    for second in range(1200):
        monitor.add(columns)
        monitor.tick(BEGIN + timedelta(seconds=second))
        sizes.append(held())
    assert monitor.judged > 100
    assert max(sizes[600:]) <= max(sizes[:600]) < 40 << 20


def test_rows_that_are_too_large_are_counted_and_not_kept() -> None:
    monitor = DriftMonitor(reference(), BEGIN)
    huge = np.zeros(5_000_000, dtype=np.float32)
    monitor.add({"hours_idle": huge})
    assert monitor.skipped == len(huge)
    assert monitor.rows == 0
    assert sys.getrefcount(huge) == 2


def test_a_constant_column_that_stays_constant_is_quiet_and_one_that_moves_is_not() -> None:
    held = build_side({"x": np.full(1000, 7.0, dtype=np.float32)}, "input")
    for value, found in ((7.0, False), (7.5, True)):
        monitor = DriftMonitor(held, BEGIN)
        monitor.add({"x": np.full(1000, value, dtype=np.float32)})
        assert bool(monitor.tick(BEGIN + timedelta(seconds=10))) is found
