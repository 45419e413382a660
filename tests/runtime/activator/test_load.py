"""The load that an autoscaler reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.runtime.activator.load import MIN_LOAD, WINDOW, LoadAverage


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_without_a_request_there_is_no_load() -> None:
    clock = Clock()
    load = LoadAverage(clock)
    clock.now += 3600
    assert load.average() == 0


def test_one_request_that_waits_is_load_at_once() -> None:
    load = LoadAverage(Clock())
    load.request_began()
    assert load.average() == MIN_LOAD


def test_a_request_as_short_as_can_be_is_load_for_the_whole_window_and_no_longer() -> None:
    clock = Clock()
    load = LoadAverage(clock)
    load.request_began()
    load.request_ended()
    clock.now += WINDOW - 0.5
    assert load.average() == MIN_LOAD
    clock.now += 2
    assert load.average() == 0


@pytest.mark.parametrize("count", [1, 7, 300])
def test_a_request_that_runs_all_the_time_is_a_load_of_one(count: int) -> None:
    clock = Clock()
    load = LoadAverage(clock)
    for _ in range(count):
        load.request_began()
    clock.now += 5 * WINDOW
    assert load.average() == pytest.approx(count, rel=0.11)


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=60))
def test_the_average_lies_between_nothing_and_the_most_that_were_under_way(turns: list[tuple[float, bool]]) -> None:
    clock = Clock()
    load = LoadAverage(clock)
    most = 0
    for pause, begins in turns:
        clock.now += pause
        if begins or not load.under_way:
            load.request_began()
        else:
            load.request_ended()
        most = max(most, load.under_way)
        # The second that the window begins in counts whole.
        assert 0 <= load.average() <= max(most * (WINDOW + 1) / WINDOW, MIN_LOAD) + 1e-6
        assert (load.average() > 0) or load.under_way == 0
