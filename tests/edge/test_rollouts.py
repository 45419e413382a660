"""A release goes on when its ring shows it, stops when devices take it back, and always ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from plimsoll.edge.acceptance import place_in_line
from plimsoll.edge.documents import Device, DeviceReport, Rollout, ServiceReport
from plimsoll.edge.rollout import Ring, ring_of, step

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOLD, LIMIT = 60.0, 600.0


def rollout(ring: int = 0, errors: float = 0.02) -> Rollout:
    return Rollout(
        release=2, rings=(0.05, 0.5, 1.0), ring=ring, began=NOW, ring_began=NOW, hold=HOLD, limit=LIMIT, errors=errors
    )


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_ring_that_serves_is_held_and_then_the_next_one_begins() -> None:
    ring = Ring(devices=5, serve=5, failed=0, away=0)
    assert step(rollout(), ring, after(30)) == rollout()
    moved = step(rollout(), ring, after(61))
    assert (moved.ring, moved.ring_began, moved.phase) == (1, after(61), "waiting")


def test_the_last_ring_ends_the_rollout() -> None:
    assert step(rollout(2), Ring(devices=9, serve=8, failed=0, away=1), after(61)).phase == "done"


def test_devices_that_take_it_back_stop_it_at_once_and_the_reason_names_one() -> None:
    ring = Ring(devices=5, serve=4, failed=1, away=0, reasons=("cab-1: it does not load",))
    stopped = step(rollout(), ring, after(1))
    assert stopped.phase == "stopped"
    assert "1 of 5 devices took it back: cab-1: it does not load" in stopped.reason
    assert step(rollout(errors=0.2), ring, after(61)).phase == "waiting"


def test_a_ring_in_which_nobody_is_heard_shows_nothing_and_stops_at_its_limit() -> None:
    silent = Ring(devices=5, serve=0, failed=0, away=5)
    assert step(rollout(), silent, after(100)) == rollout()
    assert step(rollout(), silent, after(600)).phase == "stopped"


def test_a_ring_without_devices_is_passed() -> None:
    assert step(rollout(), Ring(devices=0, serve=0, failed=0, away=0), after(61)).ring == 1


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(1, 500)),
        min_size=60,
        max_size=60,
    )
)
def test_every_rollout_ends_whatever_is_heard(looks: list[tuple[int, int, int, int]]) -> None:
    now, current = NOW, rollout()
    for serve, failed, away, seconds in looks:
        now += timedelta(seconds=seconds + 60)
        current = step(current, Ring(devices=serve + failed + away, serve=serve, failed=failed, away=away), now)
    assert current.phase != "waiting"
    assert step(current, Ring(devices=1, serve=0, failed=1, away=0), now) == current


def device(name: str, *, release: int = 1, failed: int = 0, ago: float = 1, up: bool = True) -> Device:
    service = ServiceReport(name="m", model="m@2", up=up)
    report = DeviceReport(
        device=name, number=1, at=NOW, counter=1, release=release, services=(service,), failed=failed, problem="bad"
    )
    return Device(name=name, labels={}, key_id="k", key={}, enrolled=NOW, report=report, heard=after(-ago))


def test_a_ring_counts_who_serves_who_took_it_back_and_who_is_away() -> None:
    names = sorted((f"cab-{number}" for number in range(400)), key=lambda each: place_in_line(each, 2))
    in_reach = [each for each in names if place_in_line(each, 2) < 0.05]
    serving, down, back, silent = in_reach[:4]
    devices = [
        device(serving, release=2),
        device(down, release=2, up=False),
        device(back, failed=2),
        device(silent, ago=1000),
        device(names[-1], release=2),
    ]
    ring = ring_of(rollout(), devices, sync=60, now=NOW)
    assert (ring.devices, ring.serve, ring.failed, ring.away) == (4, 1, 1, 1)
    assert ring.reasons == (f"{back}: bad",)
    assert not ring.settled
