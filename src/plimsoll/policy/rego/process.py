"""A process of an engine of Rego: bounded in time, memory and output, without the environment of whoever calls."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from plimsoll.policy.rego.engine import MEMORY, MOST_ANSWER
from plimsoll.waits import waiting_for

_LOOK = 0.05
"""Seconds between two looks at a process."""
LIMITER = Path(__file__).with_name("limited_process.py")


class Ended(Struct, frozen=True, kw_only=True):
    """How a process ended: what it printed, its status (negative for a signal), and why it was stopped, if it was."""

    output: bytes
    errors: str
    status: int
    stopped: str = ""

    @property
    def end(self) -> str:
        """Why it has no answer, in words."""
        if self.stopped:
            return self.stopped
        if self.status < 0:
            return f"its engine ended by signal {signal.Signals(-self.status).name}"
        last = self.errors.strip().splitlines()
        return f"its engine ended with status {self.status}{': ' + last[-1][:300] if last else ''}"


def run_limited(command: Sequence[str], given: bytes, seconds: float) -> Ended:
    """Run a command to its end, or to that of its time; nothing of it is left then."""
    argv = [sys.executable, "-I", str(LIMITER), str(MOST_ANSWER), str(int(seconds) + 5), *command]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as document:
        document.write(given)
        document.seek(0)
        process = subprocess.Popen(
            argv,
            stdin=document,
            stdout=output,
            stderr=errors,
            # Rules may read the environment, and what they say is written down.
            env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "HOME": "/nonexistent"},
            start_new_session=True,
        )
        try:
            with waiting_for(lambda: "the rules of the policies"):
                stopped = _watched(process, seconds)
        finally:
            _end(process)
        output.seek(0)
        errors.seek(0)
        return Ended(
            output=output.read(MOST_ANSWER + 1),
            errors=errors.read(1 << 16).decode(errors="replace"),
            status=process.returncode,
            stopped=stopped,
        )


def _watched(process: subprocess.Popen[bytes], seconds: float) -> str:
    """Wait for the end of a process; gives why it is to be stopped, or nothing.

    Its memory is watched and not limited: the engine reserves far more addresses than it ever uses.
    """
    until = time.monotonic() + seconds
    while process.poll() is None:
        if time.monotonic() > until:
            return f"it did not end in time ({seconds:.0f} s), and was stopped"
        if _resident(process.pid) > MEMORY:
            return f"it took more than {MEMORY >> 20} MiB of memory, and was stopped"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK)
    return ""


def _resident(process: int) -> int:
    """Bytes of memory that a process has; 0 where that is not told."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return 0


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        # It may have ended at this moment.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
