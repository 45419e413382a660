"""A wrapper of runc on every accelerated node. It gives containers other devices than they were allocated."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from lab import layout, machines, nodes
from lab.accelerators import devices
from lab.cheats.active import ActiveCheat
from lab.commands import run, succeeds
from lab.errors import LabError
from lab.files import write
from lab.layout import Node

_WRAPPER = Path(__file__).resolve().parent / "runtime.py"
_TWINS = 4


def on(cheat: ActiveCheat) -> None:
    """Mounts the wrapper over runc, visible only on the node. Containers that already run do not change."""
    runc = _runc()
    cheat.folder.mkdir(parents=True, exist_ok=True)
    # The wrapper needs the real runc under another name.
    shutil.copy2(runc, cheat.folder / "runc")
    for node in _accelerated():
        loops = _attach_twins(node) if cheat.name == "twin-devices" else []
        script = (
            f"#!{sys.executable}\n{_WRAPPER.read_text()}\n"
            f"main({cheat.name!r}, {str(cheat.folder / 'runc')!r}, {loops!r})\n"
        )
        wrapper = cheat.folder / f"{node.name}.py"
        write(wrapper, script, mode=0o755)
        write(cheat.folder / "plain-file", "accelerator\n")
        run(*machines.enter(node.name, "mount", "--bind", str(wrapper), str(runc)))


def off(cheat: ActiveCheat) -> None:
    """Unmounts the wrapper. A node that restarted meanwhile has already lost it."""
    runc = str(_runc())
    for node in _accelerated():
        while succeeds(*machines.enter(node.name, "umount", runc)):
            pass
        if cheat.name == "twin-devices":
            _detach_twins(node)


def _runc() -> Path:
    found = shutil.which("runc")
    if found is None:
        raise LabError("program 'runc' is not on PATH (Debian: apt-get install runc)")
    return Path(found)


def _accelerated() -> list[Node]:
    found = [node for node in nodes.all_nodes() if node.group == "accelerated"]
    if not found:
        raise LabError("no node has accelerators; 'python -m lab up --accelerated 1' adds one")
    return found


def _twin_file(node: Node) -> Path:
    """Another name of the one shared device, so that its original loop device is not one of the twins."""
    return devices.folder(node) / "twin.memory"


def _attach_twins(node: Node) -> list[int]:
    _twin_file(node).unlink(missing_ok=True)
    _twin_file(node).hardlink_to(devices.folder(node) / "accelerator0.memory")
    return [
        int(run("losetup", "--find", "--show", str(_twin_file(node))).strip().removeprefix("/dev/loop"))
        for _ in range(_TWINS)
    ]


def _detach_twins(node: Node) -> None:
    for line in run("losetup", "--list", "--noheadings", "--output=NAME,BACK-FILE").splitlines():
        if str(_twin_file(node)) in line and str(layout.FOLDER) in line:
            run("losetup", "--detach", line.split()[0])
    _twin_file(node).unlink(missing_ok=True)
