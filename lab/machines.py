"""Starts and stops the lab's machines. A machine is one process and all that the kernel ties to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import background, cgroups, layout
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.errors import LabError
from lab.files import write
from lab.network import netns
from lab.processes import is_ending

STOP_LIMIT = 8.0


@dataclass(frozen=True)
class Program:
    """A program of a machine: its name in `lab logs`, and its command."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Machine:
    """What a machine consists of; `mounts` and `devices` are as the program `machine` reads them.

    `revision` changes with the files that its programs read when they start.
    """

    name: str
    namespace: str
    programs: tuple[Program, ...]
    mounts: tuple[dict[str, str], ...] = ()
    devices: tuple[dict[str, Any], ...] = ()
    links: dict[str, str] = field(default_factory=dict)
    revision: str = ""

    @property
    def folder(self) -> Path:
        """The folder of its files."""
        return layout.machine_folder(self.name)

    @property
    def configuration(self) -> Path:
        """The file that its first process is started with, by which that process is found again."""
        return self.folder / "machine.json"


def start(machine: Machine) -> None:
    """Starts the machine, unless it runs as it is described. Its first process does not depend on ours."""
    logs = machine.folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    configuration = json.dumps(_configuration(machine), indent=1)
    if first_process(machine.name) is not None:
        if machine.configuration.read_text() == configuration:
            return
        stop(machine.name)
    kill_all(machine.name)
    write(machine.configuration, configuration)
    program = folder_of(BY_NAME["programs"]) / "machine"
    command = netns.in_namespace(
        machine.namespace,
        *("unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--mount-proc", "--kill-child"),
        *("--propagation", "private", str(program), str(machine.configuration)),
    )
    background.start(machine.name, command, log=logs / "machine.log")


def _configuration(machine: Machine) -> dict[str, Any]:
    logs = machine.folder / "logs"
    return {
        "hostname": machine.name,
        "revision": machine.revision,
        "mounts": machine.mounts,
        "devices": machine.devices,
        "links": machine.links,
        "status": str(machine.folder / "status.json"),
        "programs": [
            {"name": program.name, "command": program.command, "log": str(logs / f"{program.name}.log")}
            for program in machine.programs
        ],
    }


def first_process(name: str) -> int | None:
    """PID, as the host counts, of the machine's process 1; None when the machine does not run."""
    configuration = str(layout.machine_folder(name) / "machine.json")
    for pid, command in _commands():
        if command[-1:] == [configuration] and Path(command[0]).name == "machine" and not is_ending(pid):
            return pid
    return None


def _commands() -> Iterable[tuple[int, list[str]]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                command = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
                if command:
                    yield int(folder.name), command


def status(name: str) -> dict[str, dict[str, int]]:
    """PID (in the machine's own count) and restarts of each program of a machine."""
    try:
        read: dict[str, dict[str, int]] = json.loads((layout.machine_folder(name) / "status.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return read


def enter(name: str, *command: str | Path) -> list[str]:
    """`command` as it would be run by somebody who is logged in to the machine. Raises LabError when it is down."""
    pid = first_process(name)
    if pid is None:
        raise LabError(f"{name} does not run; 'python -m lab status' shows the machines, 'python -m lab up' repairs")
    return ["nsenter", "--target", str(pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--", *map(str, command)]


def signal_program(name: str, program: str, number: signal.Signals = signal.SIGKILL) -> None:
    """Sends a signal to one program of a machine; the machine starts it again when it ends."""
    pid = status(name).get(program, {}).get("pid")
    if not pid:
        raise LabError(f"{program} of {name} does not run; it has {', '.join(status(name)) or 'no programs'}")
    subprocess.run(enter(name, "kill", f"-{number.value}", str(pid)), check=True, timeout=10)


def stop(name: str) -> None:
    """Ends the machine: programs are asked first, then everything in it is killed."""
    pid = first_process(name)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + STOP_LIMIT / 2
        while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
            time.sleep(0.02)
    kill_all(name)


def kill_all(name: str) -> None:
    """Kills what is left of the machine, without asking, and waits until it is gone. Its cgroups go too."""
    end = time.monotonic() + STOP_LIMIT
    while left := cgroups.processes(name):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > end:
            raise LabError(f"processes {sorted(left)} of {name} do not end; see /proc/PID/stack for what they wait for")
        time.sleep(0.02)
    cgroups.remove(name)
