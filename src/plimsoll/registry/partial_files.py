"""Files that are being pulled: one process at a time writes to one, and the others wait for it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from io import BufferedRandom
from pathlib import Path

from plimsoll.errors import TargetError

LOCK_LIMIT = 1800.0
"""Seconds to wait for another process that pulls the same blob to the same path: models are large, links slow."""


@contextlib.contextmanager
def locked_part(partial: Path, what: str) -> Iterator[BufferedRandom]:
    """Open and lock a partial file. While we wait for the lock, its name may become that of another file."""
    deadline = time.monotonic() + LOCK_LIMIT
    while True:
        with partial.open("a+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    message = f"another process has been pulling {what} for {LOCK_LIMIT:g} s"
                    raise TargetError(message, where=str(partial), hint="wait for that process, or end it") from None
                time.sleep(0.02)
                continue
            if _is_same_file(file, partial):
                yield file
                # The content has been renamed; only an empty file can be left under this name.
                partial.unlink(missing_ok=True)
                return


def _is_same_file(file: BufferedRandom, path: Path) -> bool:
    """Whether a path still names an open file."""
    try:
        return os.fstat(file.fileno()).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False
