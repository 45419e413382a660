"""The locks of a vault, as files in `sealed/`, and the note why its sealer cannot seal."""

from __future__ import annotations

import contextlib
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


def note_problem(text: str, *directories: Path) -> None:
    """Note why nothing can be sealed, in the first directory that takes it: the sealed files' disk may be full."""
    for directory in directories:
        with contextlib.suppress(OSError):
            (directory / PROBLEM).write_text(text, encoding="utf-8")
            return


def noted_problem(*directories: Path, since: int = 0) -> str:
    """Why nothing can be sealed, where it was noted after `since` (nanoseconds); empty while nothing is known of it."""
    for directory in directories:
        with contextlib.suppress(OSError):
            path = directory / PROBLEM
            text = path.read_text(encoding="utf-8")
            if path.stat().st_mtime_ns > since or not text:
                return text or "there was no room to write down why"
    return ""


def forget_problem(*directories: Path) -> None:
    """What was noted is over. Raises OSError."""
    for directory in directories:
        (directory / PROBLEM).unlink(missing_ok=True)
