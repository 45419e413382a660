"""Measures the memory of a process and its session, for limits without a control group."""

from __future__ import annotations

import os
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_SESSION = 3
"""Index of the session id among the fields of /proc/PID/stat after the name. Source: proc_pid_stat(5)."""


def session_memory(leader: int) -> int:
    """Resident bytes of all processes in the session of `leader`; shared pages count once per process."""
    return sum(_resident(pid) for pid in processes() if _session(pid) == leader)


def processes() -> list[int]:
    """The ids of all visible processes."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _session(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[_SESSION])


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0
