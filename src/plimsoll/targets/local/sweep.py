"""After a kill: find what an earlier run left running, by the mark in its environment, and end it."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from plimsoll.targets.local.memory_watch import processes


def end_leftovers(work: Path) -> int:
    """Kill every process whose PLIMSOLL_OUTPUT lies under `work`; gives how many there were.

    Only safe for the holder of the run's lock: the processes of a living run carry the same mark.
    """
    mark = b"PLIMSOLL_OUTPUT=" + os.fsencode(work) + b"/"
    killed = 0
    for pid in processes():
        try:
            entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if pid != os.getpid() and any(entry.startswith(mark) for entry in entries):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
    return killed
