"""Processes of the lab that belong to no machine: the door, delays, the service for nodes. Each has a cgroup."""

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
    """Whether the process runs, and is not about to end."""
    return any(not is_ending(pid) for pid in cgroups.processes(name))


def start(
    name: str, command: Sequence[str], *, log: Path | None = None, keep: Sequence[int] = (), output: int | None = None
) -> None:
    """Starts a process that outlives ours, in the cgroups of that name.

    `keep` are file descriptors that it inherits, `output` is one that it prints to instead of to its log.
    """
    cgroups.create(name)
    path = log or layout.machine_folder(layout.CONTROL_PLANE) / "logs" / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        # setsid --fork ends at once and leaves the process to init, which reaps it when we no longer run.
        subprocess.run(
            ["setsid", "--fork", *command],
            stdin=subprocess.DEVNULL,
            stdout=file if output is None else output,
            stderr=file,
            pass_fds=tuple(keep),
            check=True,
            timeout=START_LIMIT,
            preexec_fn=lambda: cgroups.join(name),  # this process has no other thread then
        )


def stop(name: str) -> None:
    """Kills the process, if there is one, and takes its cgroup away."""
    for pid in cgroups.processes(name):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    cgroups.remove(name)
