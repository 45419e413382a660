"""How much memory a process and its session hold: for limits where the kernel gives us no control group."""

from __future__ import annotations

import os
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_SESSION = 3
"""Place of the session id among the fields of /proc/PID/stat after the name. Source: proc_pid_stat(5)."""


def session_memory(leader: int) -> int:
    """Bytes resident in all processes of the session that `leader` leads; shared pages are counted for each."""
    return sum(_resident(pid) for pid in processes() if _session(pid) == leader)


def processes() -> list[int]:
    """Every process that can be seen."""
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
