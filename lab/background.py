"""Processes of the lab outside its machines: doors, delays, the node service, cheats. Each has a cgroup of its own."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lab import cgroups, layout
from lab.processes import is_ending

START_LIMIT = 30.0


def is_running(name: str) -> bool:
    """Whether the process runs and no kill is pending."""
    return any(not is_ending(pid) for pid in cgroups.processes(name))


def start(
    name: str, command: Sequence[str], *, log: Path | None = None, keep: Sequence[int] = (), output: int | None = None
) -> None:
    """Starts a process that outlives this one, in the cgroups called `name`.

    The process inherits the file descriptors `keep`. It prints to the descriptor `output` where one is given, and else
    to its log.
    """
    cgroups.create(name)
    path = log or layout.machine_folder(layout.CONTROL_PLANE) / "logs" / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        # setsid --fork ends at once. The process becomes a child of init, which reaps it after this process has ended.
        subprocess.run(
            ["setsid", "--fork", *command],
            stdin=subprocess.DEVNULL,
            stdout=file if output is None else output,
            stderr=file,
            pass_fds=tuple(keep),
            check=True,
            timeout=START_LIMIT,
            preexec_fn=lambda: cgroups.join(name),  # safe: at this point the process has one thread
        )


def stop(name: str) -> None:
    """Kills the process if it runs, and removes its cgroup."""
    for pid in cgroups.processes(name):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    cgroups.remove(name)
