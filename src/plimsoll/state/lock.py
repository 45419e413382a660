"""Allows one run at a time for an application directory. The kernel releases the lock of a process that dies."""

from __future__ import annotations

import fcntl
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import TargetError

PEEK_LIMIT = 2.0
"""Seconds for which a run that begins waits for those who only look who holds the lock."""


@decodable
class Holder(Struct, frozen=True, kw_only=True):
    """The run that holds the lock. `watches`: it keeps services up until it is ended."""

    pid: int
    run: str
    application: str
    since: datetime
    watches: bool = False


class RunLock:
    """An exclusive lock on a file that names its holder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    def acquire(self, run: str, application: str, *, watches: bool = False) -> None:
        """Take the lock. Raises TargetError, which names the holder, when another run has it."""
        file = self.path.open("a+b")
        try:
            _take(file, self.path)
        except BlockingIOError:
            file.close()
            raise _held_error(self.path, holder(self.path)) from None
        me = Holder(pid=os.getpid(), run=run, application=application, since=datetime.now(UTC), watches=watches)
        file.truncate(0)
        file.write(msgspec.json.encode(me))
        file.flush()
        self._file = file

    def release(self) -> None:
        """Release the lock."""
        if self._file:
            self._file.truncate(0)
            self._file.close()
            self._file = None


def _take(file: IO[bytes], path: Path) -> None:
    """Take the lock. Raises BlockingIOError when another run has it.

    Whoever asks for the holder has the lock for a moment, and who has just taken it has not written its name yet: while
    nobody is named, it is tried again.
    """
    until = time.monotonic() + PEEK_LIMIT
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if holder(path) is not None or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def require_free(path: Path) -> None:
    """Raise TargetError, which names the holder, when a run has the lock now."""
    if (who := holder(path)) is not None:
        raise _held_error(path, who)


def holder(path: Path) -> Holder | None:
    """The current holder of the lock; `None` when it is free."""
    try:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return msgspec.json.decode(file.read(), type=Holder)
    except (*UNREADABLE, OSError):
        return None
    return None


def noted_holder(path: Path) -> Holder | None:
    """The run that a lock file names and whose process is there, without touching the lock.

    For those who look often: `holder` takes the lock for a moment, in which a run that starts would be refused. A
    process that was killed leaves its name, and another may have its number since.
    """
    try:
        who = msgspec.json.decode(path.read_bytes(), type=Holder)
        os.kill(who.pid, 0)
    except PermissionError:
        return who
    except (*UNREADABLE, OSError):
        return None
    return who


def _held_error(path: Path, who: Holder | None) -> TargetError:
    if who is None:
        return TargetError("another run of this application has just started", where=str(path), hint="try again")
    hint = "wait for it, watch it with `plimsoll status`, or stop it with `plimsoll down`"
    if who.watches:
        hint = "stop it with `plimsoll down`; `plimsoll up` keeps services up while you train"
    return TargetError(
        f"run {who.run} of '{who.application}' has been running since {who.since:%H:%M:%S} UTC, in process {who.pid}",
        where=str(path),
        hint=hint,
    )
