"""How a release goes on through the rings, judged by what the devices report. Pure.

A rollout always ends: a ring that does not settle within its limit stops it, and the former release comes back.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from plimsoll.edge.acceptance import place_in_line
from plimsoll.edge.documents import Device, Rollout

STALE = 3
"""A device that has missed so many syncs is away, and nobody waits for it."""


class Ring(Struct, frozen=True, kw_only=True):
    """The devices in reach: how many there are, serve the release, have taken it back, and are away."""

    devices: int
    serve: int
    failed: int
    away: int
    reasons: tuple[str, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether everybody who is not away has taken the release or given it back."""
        return self.serve + self.failed + self.away >= self.devices

    def line(self) -> str:
        """For people."""
        if not self.devices:
            return "no device is in it"
        told = [f"{self.serve} of {self.devices} serve it"]
        told += [f"{self.failed} took it back"] if self.failed else []
        told += [f"{self.away} are away"] if self.away else []
        return ", ".join(told)


def ring_of(rollout: Rollout, devices: Iterable[Device], sync: float, now: datetime) -> Ring:
    """What the devices in reach of the present ring have reported."""
    reach = rollout.rings[rollout.ring]
    here = (each for each in devices if not each.revoked and not each.moved)
    found = [each for each in here if place_in_line(each.name, rollout.release) < reach]
    horizon = now - timedelta(seconds=STALE * sync)
    serve = failed = away = 0
    reasons = []
    for each in found:
        report = each.report
        if report is not None and report.release == rollout.release and all(one.up for one in report.services):
            serve += 1
        elif report is not None and report.failed == rollout.release:
            failed += 1
            reasons.append(f"{each.name}: {report.problem}")
        elif each.heard is None or each.heard < horizon:
            away += 1
    return Ring(devices=len(found), serve=serve, failed=failed, away=away, reasons=tuple(reasons[:3]))


def rollout_line(rollout: Rollout | None, ring: Ring | None) -> str:
    """A rollout for people."""
    if rollout is None:
        return "no release is under way"
    ring_of_all = f"ring {rollout.ring + 1} of {len(rollout.rings)}"
    head = f"release {rollout.release}, {ring_of_all} ({rollout.rings[rollout.ring]:.0%} of the devices)"
    told = f"{head}: {ring.line()}" if ring else head
    return told if rollout.phase == "waiting" else f"{told}; {rollout.phase}: {rollout.reason}"


def step(rollout: Rollout, ring: Ring, now: datetime) -> Rollout:
    """The rollout after a look at its ring: it waits, goes on to the next ring, is done, or stops with a reason."""
    if rollout.phase != "waiting":
        return rollout
    heard = ring.serve + ring.failed
    if ring.failed and ring.failed > rollout.errors * max(1, heard):
        reason = f"{ring.failed} of {heard} devices took it back: {'; '.join(ring.reasons)}"
        return replace(rollout, phase="stopped", reason=reason)
    passed = (now - rollout.ring_began).total_seconds()
    # A ring in which nobody was heard shows nothing, unless there is nobody in it.
    shown = ring.settled and (heard > 0 or ring.devices == 0)
    if shown and passed >= rollout.hold:
        if rollout.ring + 1 == len(rollout.rings):
            return replace(rollout, phase="done", reason=ring.line())
        return replace(rollout, ring=rollout.ring + 1, ring_began=now)
    if passed >= rollout.limit:
        reason = f"after {passed:.0f} s {ring.line()}"
        return replace(rollout, phase="stopped", reason=reason)
    return rollout
