"""The locks of a vault, as files in `sealed/`."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

USERS, SEALER, SETUP, PROBLEM = "users.lock", "sealer.lock", "setup.lock", "problem"


def opened_lock(path: Path) -> IO[bytes]:
    """Open the file of a lock. Raises OSError."""
    return path.open("ab")


def try_lock(file: IO[bytes], how: int) -> bool:
    """Take a lock for as long as the file is open; whether it could be had now."""
    try:
        fcntl.flock(file.fileno(), how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
