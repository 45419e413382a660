"""Limits on processor and memory by control groups, where the kernel allows plimsoll to create one.

Version 1 hierarchies (`cpu`, `memory`) and version 2 are both used when writable. Otherwise,
`targets.local.memory_watch` watches memory, and processor time is not limited.
Sources: the kernel's cgroup-v1 and cgroup-v2 documents.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from plimsoll.planning.steps import WorkerResources

PERIOD = 100_000
"""Scheduling period in microseconds: the kernel's default."""
MOUNT = Path("/sys/fs/cgroup")
PARENT = "plimsoll"


class WorkerLimits:
    """The control groups of one worker. `enforced` names the resources that the kernel limits."""

    def __init__(
        self, name: str, resources: WorkerResources, mount: Path = MOUNT, *, processes: int | None = None
    ) -> None:
        """`processes` is how many processes and threads there may be at once."""
        self.groups: list[Path] = []
        self.enforced: list[str] = []
        self.processes = processes
        if resources.cpu is None and resources.memory is None and processes is None:
            return
        unified = (mount / "cgroup.controllers").exists()
        if processes is not None:
            self._limit(_parent(mount, "pids", unified), name, {"pids.max": processes}, "processes")
        if resources.memory is not None:
            settings = {"memory.max": resources.memory} if unified else {"memory.limit_in_bytes": resources.memory}
            self._limit(_parent(mount, "memory", unified), name, settings, "memory")
        if resources.cpu is not None:
            quota = int(resources.cpu * PERIOD)
            settings_cpu: dict[str, object] = (
                {"cpu.max": f"{quota} {PERIOD}"}
                if unified
                else {"cpu.cfs_period_us": PERIOD, "cpu.cfs_quota_us": quota}
            )
            self._limit(_parent(mount, "cpu", unified), name, settings_cpu, "cpu")

    def _limit(self, parent: Path | None, name: str, settings: dict[str, object] | dict[str, int], what: str) -> None:
        if parent is None:
            return
        group = parent / name
        try:
            group.mkdir(parents=True, exist_ok=True)
            for file, value in settings.items():
                (group / file).write_text(str(value), encoding="ascii")
        except OSError:
            # No permission, or no such controller: the caller watches the memory instead.
            with contextlib.suppress(OSError):
                group.rmdir()
            return
        if group not in self.groups:
            self.groups.append(group)
        self.enforced.append(what)

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel's OOM killer killed a process of these groups."""
        for group in self.groups:
            for file in ("memory.oom_control", "memory.events"):
                with contextlib.suppress(OSError):
                    for line in (group / file).read_text(encoding="ascii").splitlines():
                        name, _, count = line.partition(" ")
                        if name == "oom_kill" and int(count) > 0:
                            return True
        return False

    def ran_out_of_processes(self) -> bool:
        """Whether the kernel has refused a process or a thread to these groups."""
        for group in self.groups:
            with contextlib.suppress(OSError, ValueError):
                return int((group / "pids.events").read_text(encoding="ascii").split()[1]) > 0
        return False

    def remove(self) -> None:
        """Delete the groups; retries, because the kernel needs a moment after the last process has ended."""
        for group in self.groups:
            for _ in range(50):
                try:
                    group.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.01)


def remove_leftover_groups(prefix: str, mount: Path = MOUNT) -> None:
    """Delete the groups that a killed run left behind."""
    unified = (mount / "cgroup.controllers").exists()
    for controller in ("memory", "cpu", "pids"):
        parent = _parent(mount, controller, unified)
        if parent and parent.is_dir():
            for group in parent.glob(f"{prefix}*"):
                with contextlib.suppress(OSError):
                    group.rmdir()


def _parent(mount: Path, controller: str, unified: bool) -> Path | None:
    """The parent of plimsoll's groups, below the group of this process; None without such a controller."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if unified and controllers == "":
            return mount / path.lstrip("/") / PARENT
        if not unified and controller in controllers.split(","):
            base = mount / controller / path.lstrip("/")
            return (base if base.is_dir() else mount / controller) / PARENT
    return None
