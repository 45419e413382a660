"""Cheats with devices: a wrapper replaces runc on every accelerated node and gives containers other devices."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from lab import layout, machines, nodes
from lab.accelerators import devices
from lab.cheats.scene import Scene
from lab.commands import run, succeeds
from lab.errors import LabError
from lab.files import write
from lab.layout import Node

_WRAPPER = Path(__file__).resolve().parent / "runtime.py"
_TWINS = 4


def on(scene: Scene) -> None:
    """Mount the wrapper over runc in each node's own view of the disk. Running containers do not change."""
    runc = _runc()
    scene.folder.mkdir(parents=True, exist_ok=True)
    # The wrapper covers the real runc, and calls it by this copy.
    shutil.copy2(runc, scene.folder / "runc")
    for node in _accelerated():
        loops = _twins(node) if scene.name == "twin-devices" else []
        script = (
            f"#!{sys.executable}\n{_WRAPPER.read_text()}\n"
            f"main({scene.name!r}, {str(scene.folder / 'runc')!r}, {loops!r})\n"
        )
        wrapper = scene.folder / f"{node.name}.py"
        write(wrapper, script, mode=0o755)
        write(scene.folder / "plain-file", "accelerator\n")
        run(*machines.enter(node.name, "mount", "--bind", str(wrapper), str(runc)))


def off(scene: Scene) -> None:
    """Unmount the wrapper. A node that restarted in the meantime no longer has it."""
    runc = str(_runc())
    for node in _accelerated():
        while succeeds(*machines.enter(node.name, "umount", runc)):
            pass
        if scene.name == "twin-devices":
            _detach_twins(node)


def _runc() -> Path:
    found = shutil.which("runc")
    if found is None:
        raise LabError("'runc' is not on PATH; install it")
    return Path(found)


def _accelerated() -> list[Node]:
    found = [node for node in nodes.all_nodes() if node.group == "accelerated"]
    if not found:
        raise LabError("no node has accelerators; 'python -m lab up --accelerated 1' adds one")
    return found


def _memory(node: Node) -> Path:
    """A second name for the one device that every holder gets.

    With its own name, the device's own loop device would be among the twins.
    """
    return devices.folder(node) / "twin.memory"


def _twins(node: Node) -> list[int]:
    _memory(node).unlink(missing_ok=True)
    _memory(node).hardlink_to(devices.folder(node) / "accelerator0.memory")
    return [
        int(run("losetup", "--find", "--show", str(_memory(node))).strip().removeprefix("/dev/loop"))
        for _ in range(_TWINS)
    ]


def _detach_twins(node: Node) -> None:
    for line in run("losetup", "--list", "--noheadings", "--output=NAME,BACK-FILE").splitlines():
        if str(_memory(node)) in line and str(layout.FOLDER) in line:
            run("losetup", "--detach", line.split()[0])
    _memory(node).unlink(missing_ok=True)
