"""Who asks the holder of a key: the kernel says which process it is, and limits show whether a step started it.

Every process of a step has a lower limit on file locks than the holder (`STEP_MARK`). Linux does nothing with this
limit since version 2.4, passes it on to all that a process starts, and lets nobody but root raise it again: it is a
mark that no step can take off, however it starts what it starts.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Collection
from pathlib import Path

from msgspec import Struct

STEP_MARK = 7_091
"""The hard limit on file locks of what a step starts; any limit below the holder's own counts as the mark."""
_LIMIT = "Max file locks"
_CREDENTIALS = struct.Struct("3i")


class Peer(Struct, frozen=True, kw_only=True):
    """The process at the other end of a connection."""

    pid: int
    uid: int


def peer_of(connection: socket.socket) -> Peer:
    """The process that has connected. Raises OSError."""
    content = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(content)
    return Peer(pid=pid, uid=uid)


def refusal(peer: Peer, allowed: Collection[int], connected: float) -> str:
    """Why a process is not signed for; empty when it is. `connected` is in seconds since the machine started."""
    if peer.uid not in allowed:
        return f"the holder of the signing key does not sign for user {peer.uid}"
    process = Path("/proc") / str(peer.pid)
    try:
        limits = (process / "limits").read_text(encoding="ascii")
        started = _started(process)
    except (OSError, ValueError, IndexError):
        return f"the holder of the signing key cannot tell what process {peer.pid} is"
    if started > connected:
        # Another process has got the number of the one that had connected.
        return f"the process {peer.pid} that asked has ended"
    if is_marked(limits):
        return "the holder of the signing key signs nothing for a step of a run, nor for what a step has started"
    return ""


def is_marked(limits: str) -> bool:
    """Whether the limits of a process (`/proc/<pid>/limits`) are those of a step."""
    hard = _hard(limits)
    own = _hard(Path("/proc/self/limits").read_text(encoding="ascii"))
    return hard is not None and (own is None or hard < own)


def _hard(limits: str) -> int | None:
    """The hard limit on file locks; None without one."""
    for line in limits.splitlines():
        if line.startswith(_LIMIT):
            value = line[len(_LIMIT) :].split()[1]
            return None if value == "unlimited" else int(value)
    raise ValueError("the kernel tells no limit on file locks")


def _started(process: Path) -> float:
    """When a process began, in seconds since the machine started."""
    fields = (process / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")
