"""Everything on the host that carries the lab's name. After `down` there must be none of it."""

from __future__ import annotations

import os
from pathlib import Path

from lab import cgroups, layout
from lab.commands import run
from lab.network import netns


def traces() -> dict[str, list[str]]:
    """The traces by kind, read from the kernel and not from records. Every list is empty when there is no lab."""
    return {
        "processes": _processes(),
        "mounts": [line for line in Path("/proc/mounts").read_text().splitlines() if layout.NAME in line],
        "network namespaces": netns.all_namespaces(),
        "cgroups": [str(folder) for folder in cgroups.folders()],
        "loop devices": [line for line in run("losetup", "-l", "-n").splitlines() if layout.NAME in line],
        "links": [line for line in run("ip", "link").splitlines() if "node-" in line],
        "rules": [line for line in run("nft", "list", "ruleset").splitlines() if "lab" in line],
        "folder": [str(layout.FOLDER)] if layout.FOLDER.exists() else [],
    }


def _processes() -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if layout.NAME in command and int(folder.name) not in (os.getpid(), os.getppid()):
            found.append(command[:120])
    return found
