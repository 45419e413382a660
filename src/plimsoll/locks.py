"""Locks on files, which the kernel releases when a process dies."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

_LOOK = 0.02
"""Seconds between two tries."""


@contextlib.contextmanager
def locked_file(path: Path, *, shared: bool = False, limit: float = 0.0) -> Iterator[bool]:
    """Lock a file for the block; yields whether it is locked, which it is not when another kept it past the limit.

    Raises OSError when the file cannot be made.
    """
    with path.open("ab") as file:
        deadline = time.monotonic() + limit
        while not (locked := _try_lock(file.fileno(), shared=shared)) and time.monotonic() < deadline:
            time.sleep(_LOOK)
        yield locked


def _try_lock(descriptor: int, *, shared: bool) -> bool:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
