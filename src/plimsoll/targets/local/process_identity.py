"""Which process a number stands for: numbers are given again, and after a restart of the machine soon."""

from __future__ import annotations

from pathlib import Path

_STARTED = 19
"""Index of the start time among the fields of /proc/PID/stat after the name. Source: proc_pid_stat(5)."""
_DEAD = "ZX"
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """The identifier of the machine's present start; empty where the kernel tells none."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def identity(pid: int) -> str:
    """When a living process was started: the machine's start, and the ticks since; empty when it does not live."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in _DEAD else f"{boot_id()}:{fields[_STARTED]}"


def lives(pid: int, known: str) -> bool:
    """Whether the process that was known by that identity lives; without one, whether any has its number."""
    now = identity(pid)
    return bool(now) and known in ("", now)
