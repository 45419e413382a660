"""Whether a service can have an address of this machine, and who has it otherwise."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from plimsoll.targets.local.memory_watch import processes

PORT_HINT = "end that process, or give the service another `port` in the file"
_LISTENS = "0A"
"""The state of a listening socket in /proc/net/tcp. Source: include/net/tcp_states.h."""


def address_problem(host: str, port: int) -> str:
    """Why nobody can listen there now, with who does where that can be known; empty when it is free."""
    try:
        kind = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    except (OSError, UnicodeError) as error:
        return f"'{host}' is no address of this machine: {getattr(error, 'strerror', None) or error}"
    with socket.socket(kind) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
            # A server of the same user that shares its addresses would let us bind, and not listen.
            tried.listen(1)
        except OSError as error:
            if port and (who := listener_of(port)):
                return f"port {port} is taken by {who}"
            return f"port {port} of {host} cannot be taken: {error.strerror or error}"
    return ""


def listener_of(port: int) -> str:
    """The process that listens on a port, with its command line; empty when this user may not know."""
    sockets = {f"socket:[{number}]" for number in _listening(port)}
    for pid in processes() if sockets else ():
        if sockets & set(_open_sockets(pid)):
            return f"process {pid} ({_command_line(pid)})"
    return ""


def _listening(port: int) -> set[str]:
    """The inodes of sockets that listen on a port, of any address."""
    found = set()
    for name in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{name}").read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found


def _open_sockets(pid: int) -> list[str]:
    found = []
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            try:
                found.append(os.readlink(entry.path))  # noqa: PTH115 - a Path for each open file costs more than the call
            except OSError:
                continue
    except OSError:
        return []
    return found


def _command_line(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        words = []
    return " ".join(word.decode(errors="replace") for word in words if word)[:100] or "which has just ended"
