"""What a sandbox has refused a step, by its last words, and the setting that allows it. Pure.

The kernel tells a process "no such file" of what a sandbox hides, and "network is unreachable": true there, no help.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from msgspec import Struct

from plimsoll.runtime.isolation.view import Sight, View

_PATH = re.compile(r"(?<![\w/.:~-])/[^\s'\"`:,;()\[\]{}<>|&\x00]+")
_NO_NETWORK = re.compile(
    r"network is unreachable|name or service not known|temporary failure in name resolution|could not resolve host"
    r"|name resolution|getaddrinfo|no route to host|connection refused|nameresolutionerror",
    re.IGNORECASE,
)
_TOO_MANY = re.compile(
    r"resource temporarily unavailable|can't start new thread|cannot fork|\bfork: retry", re.IGNORECASE
)
_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_NOT_PERMITTED = re.compile(r"operation not permitted", re.IGNORECASE)
_READ_ONLY = re.compile(r"read-only file system|permission denied", re.IGNORECASE)
_MISSING = re.compile(
    r"no such file|not found|does not exist|permission denied|filenotfounderror|cannot open", re.IGNORECASE
)
LINES = 12
"""Last lines of a log in which the reason is looked for."""


class Bounds(Struct, frozen=True, kw_only=True):
    """Which bounds a step has run into, as the kernel counts them, and what they are."""

    processes: int
    processes_reached: bool = False


def refused(log: str, view: View, bounds: Bounds, exists: Callable[[str], bool]) -> str:
    """What was refused, and the setting that allows it, as one sentence; empty where nothing was.

    `log` is the end of what the step has printed, and `exists` says whether a path is on the machine.
    """
    lines = [line for line in log.splitlines() if line.strip()][-LINES:]
    return next((said for line in reversed(lines) for said in _of_line(line, view, exists)), "") or _of_bounds(
        "\n".join(lines), view, bounds
    )


def _of_line(line: str, view: View, exists: Callable[[str], bool]) -> Iterator[str]:
    for found in _PATH.findall(line):
        path = found.rstrip(".")
        if _MISSING.search(line) and view.hides(path) and exists(path):
            yield f"isolation hides {path} from it; allow it with isolation: {{reads: [{path}]}}"
        elif _READ_ONLY.search(line) and not view.whole and view.sight(path) in (Sight.READ, None):
            yield (
                f"isolation lets it write only to its output, its checkpoint and /tmp, and not to {path}; "
                f"write there, or allow it with isolation: {{writes: [{path.rpartition('/')[0] or '/'}]}}"
            )
    if not view.network and _NO_NETWORK.search(line):
        yield "isolation leaves it no network; allow it with isolation: {network: true}"


def _of_bounds(lines: str, view: View, bounds: Bounds) -> str:
    if view.whole:
        return ""
    if bounds.processes_reached or _TOO_MANY.search(lines):
        return (
            f"isolation lets it have {bounds.processes} processes and threads; "
            f"allow more with isolation: {{processes: {bounds.processes * 4}}}"
        )
    if _FULL.search(lines):
        room = f"{view.room >> 20} MiB"
        return f"isolation gives it {room} in /tmp and /dev/shm; allow more with isolation: {{temporary: SIZE}}"
    if "read-only file system" in lines.lower():
        return (
            "isolation lets it write only to its output, its checkpoint and /tmp; "
            "write there, or allow more with isolation: {writes: [PATH]}"
        )
    if _NOT_PERMITTED.search(lines):
        return "isolation refuses it this call of the system; a step that needs it has isolation: process, or none"
    return ""
