"""The state of a process in the kernel."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path

_EXITING = 0x4
"""PF_EXITING of linux/sched.h."""


def is_ending(pid: int) -> bool:
    """Whether a process is killed or gone. On a busy machine some time passes between the two.

    Source: proc(5), `stat` (state, flags) and `status` (signals that are pending for a thread or for the process).
    """
    with suppress(OSError):
        # The process name before the last bracket may contain spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if fields[0] in "ZX" or int(fields[6]) & _EXITING:
            return True
        waiting = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return bool((int(waiting["SigPnd"], 16) | int(waiting["ShdPnd"], 16)) >> (signal.SIGKILL - 1) & 1)
    return True
