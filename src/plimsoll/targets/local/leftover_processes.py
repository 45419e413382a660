"""Kills the processes that a killed run left running, found by the mark in their environment."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from plimsoll.targets.local.memory_watch import processes


def kill_leftover_processes(work: Path) -> int:
    """Kill every process whose PLIMSOLL_OUTPUT is below `work`; returns their number.

    Only the holder of the run's lock may call it: the processes of a live run have the same mark.
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
