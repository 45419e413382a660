"""Whether bubblewrap is on this machine, and whether the kernel lets it do what a sandbox needs."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from functools import cache

from msgspec import Struct

PROGRAM = "bwrap"
NAME = "bubblewrap"
LIMIT = 10.0
"""Seconds in which an empty sandbox has to be made: it takes milliseconds."""
_TRIED = (
    *("--unshare-user", "--disable-userns", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net"),
    *("--cap-drop", "ALL", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"),
    *("--size", "65536", "--perms", "0700", "--tmpfs", "/tmp", "--remount-ro", "/"),  # noqa: S108 - of the sandbox
)
_TOO_OLD = "unknown option"


class Sandboxing(Struct, frozen=True, kw_only=True):
    """The path of the program, or why nothing can be isolated here, and what helps."""

    program: str = ""
    problem: str = ""
    remedy: str = ""


@cache
def sandboxing() -> Sandboxing:
    """What this machine can; found out once, with an empty sandbox."""
    program = shutil.which(PROGRAM)
    if program is None:
        remedy = "install bubblewrap (Debian: apt-get install bubblewrap)"
        return Sandboxing(problem=f"{PROGRAM} is not on PATH", remedy=remedy)
    said = _try(program)
    if not said:
        return Sandboxing(program=program)
    if _TOO_OLD in said.lower():
        return Sandboxing(problem=f"{program} is too old: {said}", remedy="install bubblewrap 0.8 or later")
    remedy = "allow user namespaces (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns)"
    return Sandboxing(problem=f"{program} cannot make a sandbox: {said}", remedy=remedy)


def _try(program: str) -> str:
    """Make an empty sandbox; gives what was wrong. Without `subprocess`, whose import would cost more than that."""
    true = shutil.which("true") or "/bin/true"
    reader, writer = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_DUP2, writer, 2)]
    try:
        pid = os.posix_spawn(program, [program, *_TRIED, true], os.environ, file_actions=actions)
    except OSError as error:
        os.close(reader)
        return error.strerror or str(error)
    finally:
        os.close(writer)
    status = _ended(pid)
    with os.fdopen(reader, "rb") as said:
        lines = said.read(4096).decode(errors="replace").split("\n") if status is not None else []
    if status is None:
        return f"it did not end within {LIMIT:g} s"
    if status == 0:
        return ""
    return next((line for line in lines if line), f"it ended with status {status}").removeprefix(f"{PROGRAM}: ")


def _ended(pid: int) -> int | None:
    """The status of a process that ends within the limit; the other is killed."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None
