"""The state of the lab, read from the host itself and not from a record of what was started."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lab import cgroups, door, layout, machines, nodes
from lab.addons import catalogue
from lab.errors import LabError
from lab.kubectl import api_problem, get
from lab.layout import Node
from lab.network import delay, link, netns


@dataclass(frozen=True)
class MachineStatus:
    """A machine. A node's `state` is Ready, NotReady, cut, slowed or killed; that of other machines is runs or stopped.

    `memory` is in bytes: the anonymous memory of the machine and its pods. `programs` maps a program's name to its
    number of restarts, or to None when the program does not run.
    """

    name: str
    state: str
    group: str
    zone: str
    rack: str
    memory: int
    programs: dict[str, int | None]


@dataclass(frozen=True)
class LabStatus:
    """The lab at one moment. `api_problem` is None when the API server is ready, `port` while the door is closed.

    `link` tells how the way to it is slowed or cut, and is empty for a good one.
    """

    port: int | None
    api_problem: str | None
    machines: list[MachineStatus]
    addons: list[str]
    link: str = ""

    def as_json(self) -> dict[str, Any]:
        """The status for `--output json`."""
        return asdict(self)


def read() -> LabStatus:
    """Reads the state of the lab. Raises LabError when there is no lab."""
    if not layout.machine_folder(layout.CONTROL_PLANE).exists():
        raise LabError("the lab does not run; 'python -m lab up' starts it")
    problem = api_problem()
    ready = _ready_nodes() if problem is None else set()
    control = layout.CONTROL_PLANE
    state = "runs" if machines.first_process(control) else "stopped"
    found = [MachineStatus(control, state, "", "", "", cgroups.memory_bytes(control), _programs(control))]
    # Machines that are not nodes: the one of Karpenter, and the API server of `scale`.
    others = (layout.FOLDER / "machines").glob("[!n]*/machine.json")
    for name in sorted({path.parent.name for path in others} - {control}):
        state = "runs" if machines.first_process(name) else "stopped"
        found.append(MachineStatus(name, state, "", "", "", cgroups.memory_bytes(name), _programs(name)))
    for node in nodes.all_nodes():
        memory = cgroups.memory_bytes(node.name)
        place = (node.group, node.zone, node.rack)
        found.append(MachineStatus(node.name, _state(node, ready), *place, memory, _programs(node.name)))
    return LabStatus(door.running_port(), problem, found, catalogue.installed(), link.state())


def _ready_nodes() -> set[str]:
    return {each["metadata"]["name"] for each in get("nodes") if nodes.is_ready(each)}


def _state(node: Node, ready: set[str]) -> str:
    if machines.first_process(node.name) is None:
        return "killed"
    if netns.is_cut(node):
        return "cut"
    if node.name not in ready:
        return "NotReady"
    return "slowed" if delay.is_slowed(node) else "Ready"


def _programs(machine: str) -> dict[str, int | None]:
    alive = machines.first_process(machine) is not None
    return {
        name: each["restarts"] if alive and each.get("pid") else None for name, each in machines.status(machine).items()
    }
