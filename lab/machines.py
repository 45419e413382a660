"""Starts and stops the lab's machines. A machine is one process with its own namespaces, mounts and cgroups."""

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
    """A program that a machine runs: its name in `lab logs`, its command, and what must answer before it starts.

    `needs` is "unix:PATH", "tcp:HOST:PORT" or a URL that answers 200. Programs that start before what they need end
    after a limit of their own, which on a busy machine is too short.
    """

    name: str
    command: tuple[str, ...]
    needs: str = ""


@dataclass(frozen=True)
class Machine:
    """The description of a machine. `mounts` and `devices` have the format that the program `machine` reads.

    `revision` changes with the files that its programs read at their start, so that a change restarts the machine.
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
        """The folder of the machine's files."""
        return layout.machine_folder(self.name)

    @property
    def configuration(self) -> Path:
        """The configuration file. It is an argument of the machine's first process, which is found by it."""
        return self.folder / "machine.json"


def start(machine: Machine) -> None:
    """Starts the machine unless it runs with this configuration. Its first process outlives this one."""
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
            {
                "name": program.name,
                "command": program.command,
                "log": str(logs / f"{program.name}.log"),
                "needs": program.needs,
            }
            for program in machine.programs
        ],
    }


def first_process(name: str) -> int | None:
    """The PID, on the host, of the machine's process 1; None when the machine does not run."""
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
    """For each program of a machine: `pid` in the machine's own PID namespace, and `restarts`."""
    try:
        read: dict[str, dict[str, int]] = json.loads((layout.machine_folder(name) / "status.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return read


def enter(name: str, *command: str | Path) -> list[str]:
    """The command line that runs `command` inside a machine. Raises LabError when the machine does not run."""
    pid = first_process(name)
    if pid is None:
        raise LabError(f"{name} does not run; 'python -m lab status' shows the machines, 'python -m lab up' repairs")
    return ["nsenter", "--target", str(pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--", *map(str, command)]


def signal_program(name: str, program: str, number: signal.Signals = signal.SIGKILL) -> None:
    """Sends a signal to one program of a machine. The machine restarts a program that ends."""
    pid = status(name).get(program, {}).get("pid")
    if not pid:
        raise LabError(f"{program} does not run on {name}; its programs are: {', '.join(status(name)) or 'none'}")
    subprocess.run(enter(name, "kill", f"-{number.value}", str(pid)), check=True, timeout=10)


def stop(name: str) -> None:
    """Stops the machine: asks its programs to end, then kills everything that is left."""
    pid = first_process(name)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + STOP_LIMIT / 2
        while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
            time.sleep(0.02)
    kill_all(name)


def kill_all(name: str) -> None:
    """Kills all processes of the machine, waits until they are gone, and removes its cgroups."""
    end = time.monotonic() + STOP_LIMIT
    while left := cgroups.processes(name):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > end:
            raise LabError(f"processes {sorted(left)} of {name} do not end; /proc/PID/stack shows what each waits for")
        time.sleep(0.02)
    cgroups.remove(name)
