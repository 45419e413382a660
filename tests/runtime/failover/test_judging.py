"""Where requests go by what was seen of both sides: when they leave, when they come back, and when they do not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from plimsoll.runtime.failover.judging import Judge, Sides

WELL, OWN, STANDBY, BOTH = Sides(), Sides(own="gone"), Sides(standby="gone"), Sides(own="gone", standby="gone")


def led(looks: Sequence[Sides], *, leads: bool = False, after: float = 3, back: float = 5) -> list[bool]:
    """Whether the standby leads after each look, one a second."""
    judge = Judge(after, back, leads=leads)
    return [judge.see(float(second), sides) for second, sides in enumerate(looks)]


def test_requests_leave_servers_that_are_not_ready_for_long_enough() -> None:
    assert led([WELL, OWN, OWN, OWN, OWN]) == [False, False, False, False, True]


def test_servers_that_come_and_go_keep_their_requests() -> None:
    assert not any(led([OWN, OWN, WELL] * 10))


def test_requests_come_back_once_servers_are_ready_for_long_enough() -> None:
    assert led([OWN, OWN, *[WELL] * 6], leads=True) == [True] * 7 + [False]


def test_servers_that_come_and_go_do_not_get_their_requests_back() -> None:
    assert all(led([WELL, WELL, WELL, OWN] * 10, leads=True))


def test_requests_stay_where_they_are_while_no_side_is_ready() -> None:
    assert not any(led([BOTH] * 20))
    assert all(led([BOTH] * 20, leads=True))


def test_a_standby_that_is_ready_late_takes_over_at_once() -> None:
    assert led([BOTH] * 5 + [OWN]) == [False] * 5 + [True]


def test_a_standby_that_is_gone_gives_requests_back_to_servers_that_are_ready_without_waiting() -> None:
    assert led([OWN, STANDBY], leads=True) == [True, False]


@pytest.mark.parametrize(("looks", "leads", "why"), [([OWN] * 4, False, "gone"), ([WELL] * 6, True, "ready for 5 s")])
def test_why_requests_have_moved_is_known(looks: Sequence[Sides], leads: bool, why: str) -> None:
    judge = Judge(3, 5, leads=leads)
    for second, sides in enumerate(looks):
        judge.see(float(second), sides)
    assert judge.leads != leads
    assert why in judge.why
