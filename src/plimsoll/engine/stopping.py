"""Stops the current run of an application and what it keeps up."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from plimsoll.errors import TargetError
from plimsoll.state.lock import Holder, holder
from plimsoll.targets.features import KEEP
from plimsoll.targets.port import Target
from plimsoll.waits import waiting_for

TIMEOUT = 20.0
"""Seconds that a run has to drain its services and end."""


class Stopped(Struct, frozen=True, kw_only=True):
    """What was stopped: the run of this machine, the services that were kept up apart from runs, the deleted objects.

    `kept` has a sentence for each thing that stays.
    """

    run: Holder | None = None
    services: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def stop_application(place: Target, *, force: bool = False, waiting: Callable[[str], None] = lambda _: None) -> Stopped:
    """End the run that holds the lock and what is kept up apart from it; delete what outlives its run on the target.

    `waiting` gets what is waited for. Raises TargetError when the run does not end, and while somebody else's goes on
    unless `force` takes the application from it.
    """
    who = holder(place.state.lock)
    if who is not None:
        os.kill(who.pid, signal.SIGTERM)
        with waiting_for(f"run {who.run} (process {who.pid}) to end"):
            _await_end(place.state.lock, who)
    ended = place.features.require(KEEP).release(()) if KEEP in place.features else []
    kept: list[str] = []
    removed = place.remove(kept.append, force=force, waiting=waiting)
    return Stopped(run=who, services=tuple(ended), removed=tuple(removed), kept=tuple(kept))


def _await_end(lock: Path, who: Holder) -> None:
    deadline = time.monotonic() + TIMEOUT
    while holder(lock) is not None:
        if time.monotonic() > deadline:
            raise TargetError(
                f"run {who.run} did not end within {TIMEOUT:g} s",
                where=f"process {who.pid}",
                hint=f"kill -9 {who.pid} ends the run and every process that it started",
            )
        time.sleep(0.05)
