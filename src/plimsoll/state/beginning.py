"""Keeps runs that begin and a clean apart: what a run needs is known once its plan is in its journal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from plimsoll.errors import TargetError
from plimsoll.locks import locked_file
from plimsoll.waits import waiting_for

BEGIN_LIMIT = 600.0
"""Seconds that a run waits for a clean: a large directory takes its time."""
CLEAN_LIMIT = 15.0
"""Seconds that a clean waits for runs that begin."""


@contextlib.contextmanager
def beginning(gate: Path) -> Iterator[None]:
    """A run begins. Raises TargetError when a clean does not end."""
    with contextlib.ExitStack() as held:
        with waiting_for("plimsoll clean of this directory to end"):
            locked = held.enter_context(locked_file(gate, shared=True, limit=BEGIN_LIMIT))
        if not locked:
            message = f"plimsoll clean has not ended within {BEGIN_LIMIT:g} s"
            raise TargetError(message, where=str(gate.parent), hint="wait for it, or stop it: it can be run again")
        yield


@contextlib.contextmanager
def none_beginning(gate: Path) -> Iterator[None]:
    """No run begins for as long as the block runs. Raises TargetError while one is at it, or another clean."""
    with contextlib.ExitStack() as held:
        with waiting_for("a run that begins, or another plimsoll clean"):
            locked = held.enter_context(locked_file(gate, limit=CLEAN_LIMIT))
        if not locked:
            message = f"a run has been beginning, or another clean going on, for {CLEAN_LIMIT:g} s"
            raise TargetError(message, where=str(gate.parent), hint="try again when it has ended")
        yield
