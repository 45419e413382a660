"""The lab's cgroups: one per machine, in every hierarchy of cgroup v1 or in the single hierarchy of v2."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lab import layout

ROOT = Path("/sys/fs/cgroup")


def hierarchies() -> list[Path]:
    """Mount points of the cgroup v1 hierarchies; the one of v2 where there is no v1."""
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    return sorted({path.resolve() for path in ROOT.iterdir() if path.is_dir() and path.name != "unified"})


def _all_hierarchies() -> list[Path]:
    """Every hierarchy that may hold cgroups of the lab. runc also uses a v2 hierarchy that is mounted beside v1."""
    beside = ROOT / "unified"
    return [*hierarchies(), *([beside] if beside.is_dir() else [])]


def create(machine: str) -> None:
    """Creates the machine's cgroups."""
    for hierarchy in hierarchies():
        for folder in (hierarchy / layout.NAME, hierarchy / layout.NAME / machine):
            folder.mkdir(exist_ok=True)
            # A new cpuset is empty. It accepts no process until it has processors and memory nodes.
            for setting in ("cpuset.cpus", "cpuset.mems"):
                if (folder / setting).exists() and not (folder / setting).read_text().strip():
                    (folder / setting).write_text((folder.parent / setting).read_text())


def join(machine: str) -> None:
    """Moves the calling process into the machine's cgroups."""
    for hierarchy in hierarchies():
        (hierarchy / layout.NAME / machine / "cgroup.procs").write_text(str(os.getpid()))


def memory_bytes(machine: str | None = None) -> int:
    """Bytes of anonymous memory, which stay under memory pressure, of a machine and its pods, or of all machines."""
    folder = next((path for path in hierarchies() if path.name in ("memory", "cgroup")), ROOT) / layout.NAME
    statistics = (folder / machine if machine else folder) / "memory.stat"
    with suppress(OSError):
        values = dict(line.split() for line in statistics.read_text().splitlines())
        return int(values.get("total_rss", values.get("anon", 0)))
    return 0


def folders(machine: str | None = None) -> Iterator[Path]:
    """Every cgroup of a machine, or of the whole lab; the deepest come first."""
    for hierarchy in _all_hierarchies():
        top = hierarchy / layout.NAME / machine if machine else hierarchy / layout.NAME
        # os.walk skips folders that disappear meanwhile, such as the cgroups of ending pods.
        yield from (Path(folder) for folder, _, _ in os.walk(top, topdown=False))


def processes(machine: str | None = None) -> set[int]:
    """PIDs of all processes in the cgroups of a machine, or of the whole lab."""
    found: set[int] = set()
    for folder in folders(machine):
        with suppress(OSError):
            found.update(int(line) for line in (folder / "cgroup.procs").read_text().split())
    return found


def remove(machine: str | None = None, limit: float = 5.0) -> None:
    """Removes the cgroups of a machine, or of the whole lab. Raises LabError when processes remain after `limit` s."""
    end = time.monotonic() + limit
    while left := [folder for folder in folders(machine) if not _try_remove(folder)]:
        if time.monotonic() > end:
            from lab.errors import LabError

            raise LabError(f"cgroup {left[0]} is still in use by {sorted(processes(machine))} after {limit:.0f} s")
        time.sleep(0.05)


def _try_remove(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
