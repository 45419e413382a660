"""What the holder of an application's lease does there, as the lease says it to others."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import decodable
from plimsoll.kubernetes.api import Manifest
from plimsoll.state.directory import StateDirectory
from plimsoll.state.lock import holder
from plimsoll.targets.kubernetes.holders import user_at_host
from plimsoll.targets.kubernetes.leases import annotations_of
from plimsoll.targets.port import RunRequest

CLEAN = "clean"
"""What stands in place of a run's id while leavings are removed."""
CLAIM = "plimsoll.dev/claim"
"""The annotation with what the holder does."""
_LONGEST = 120
"""Characters of a name that are told: whoever may change leases may write anything into them."""


@decodable
class Claim(Struct, frozen=True, kw_only=True):
    """What the holder of a lease does. `number` counts the runs of their directory, `content` is that of their plan.

    `directory` is the place of the run's lock: whoever has that lock knows that the run has ended. Without `content`
    the application is being taken down, or cleaned.
    """

    who: str
    process: int
    run: str
    directory: str
    number: int = 0
    content: str = ""

    def __str__(self) -> str:
        who = self.who[:_LONGEST]
        if not self.content:
            return f"`plimsoll {CLEAN if self.run == CLEAN else 'down'}` of {who}"
        return f"run {self.number} of {who}" if self.number else f"run {self.run[:_LONGEST]} of {who}"


def claim_here(target: str, state: StateDirectory, run: str, request: RunRequest) -> Claim:
    """What a run of this directory does."""
    return Claim(
        who=user_at_host(target),
        process=os.getpid(),
        run=run,
        directory=_directory_of(state.identity),
        number=request.number,
        content=request.content,
    )


def claim_of(lease: Manifest) -> Claim | None:
    """What the holder of a lease does, as the lease says; None when that cannot be read."""
    try:
        return msgspec.json.decode(annotations_of(lease).get(CLAIM, ""), type=Claim)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def is_dead(other: Claim, ours: Claim, state: StateDirectory) -> bool:
    """Whether it is a run of this very directory, whose lock it has no more."""
    if not ours.directory or other.directory != ours.directory or not state.journal(other.run).exists():
        return False
    alive = holder(state.lock)
    return alive is None or alive.run != other.run


def since(lease: Manifest | None) -> str:
    """Since when a lease is held, as a sentence goes on; empty when that cannot be read."""
    try:
        began = datetime.fromisoformat((lease or {})["spec"]["acquireTime"])
    except (KeyError, TypeError, ValueError):
        return ""
    same_day = began.date() == datetime.now(UTC).date()
    return f" since {began:{'%H:%M:%S' if same_day else '%Y-%m-%d %H:%M:%S'}} UTC"


def _directory_of(kept: Path) -> str:
    """What a directory keeps as one place of all machines. A copy of the directory has another one."""
    try:
        found = kept.stat()
    except OSError:
        return ""
    return f"{socket.gethostname()}:{found.st_dev}:{found.st_ino}"
