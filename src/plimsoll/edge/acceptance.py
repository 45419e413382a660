"""Whether a device takes a desired state that its owner has signed. Pure.

The promises are those of The Update Framework: nothing older than what was taken (rollback), nothing whose time is over
(freeze), nothing of another group (mix-and-match).
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from plimsoll.edge.documents import DesiredState, WantedService

MOST_SERVICES = 32


def refusal(state: DesiredState, group: str, taken: DesiredState | None, now: datetime) -> str:
    """Why a device does not take a state; empty when it does. `taken` is the newest one that it has."""
    if state.group != group:
        return f"the state is of the group {state.group}, and this device belongs to {group}"
    if taken is not None and state.counter < taken.counter:
        return f"the state is an old one: number {state.counter}, and number {taken.counter} was taken here"
    if taken is not None and state.counter == taken.counter and state != taken:
        return f"the state has the number {state.counter} of another one that was taken here"
    if state.expires <= latest(now, taken):
        return f"the state has expired at {state.expires:%Y-%m-%d %H:%M:%S} UTC"
    if len(state.services) > MOST_SERVICES or len({each.name for each in state.services}) != len(state.services):
        return f"the state has more than {MOST_SERVICES} services, or two of one name"
    return ""


def latest(now: datetime, taken: DesiredState | None) -> datetime:
    """The time by the device's clock, or that of the newest state: many devices start with a clock of years ago."""
    return now if taken is None else max(now, taken.issued)


def place_in_line(device: str, release: int) -> float:
    """A number from 0 to 1, other for each release: devices below a state's reach take it, so that joiners do too."""
    digest = hashlib.sha256(f"{release}/{device}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def wanted_of(state: DesiredState, device: str, key_id: str) -> tuple[int, tuple[WantedService, ...]]:
    """The release that a device runs under a state, and its services."""
    if key_id in state.revoked:
        return 0, ()
    if place_in_line(device, state.release) < state.reach:
        return state.release, state.services
    return state.former_release, state.former
