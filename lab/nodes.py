"""Adds, lists and removes nodes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress

from lab import layout, machines
from lab.accelerators import devices
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.commands import succeeds
from lab.errors import LabError
from lab.files import write
from lab.images import store, template
from lab.kubectl import get, kubectl, wait
from lab.layout import Node
from lab.network import delay, netns
from lab.node import programs

READY_LIMIT = 60.0
Say = Callable[[str], None]


def all_nodes() -> list[Node]:
    """All nodes of the lab, sorted by number."""
    found = [Node(**json.loads(path.read_bytes())) for path in (layout.FOLDER / "machines").glob("node-*/node.json")]
    return sorted(found, key=lambda node: node.number)


def named(name: str) -> Node:
    """The node of that name. Raises LabError with the known names."""
    for node in all_nodes():
        if node.name == name:
            return node
    raise LabError(f"unknown node '{name}'; known nodes: {', '.join(node.name for node in all_nodes()) or 'none'}")


def next_number() -> int:
    """The lowest free number."""
    taken = {node.number for node in all_nodes()}
    free = next(number for number in range(1, layout.MOST_NODES + 2) if number not in taken)
    if free > layout.MOST_NODES:
        raise LabError(
            f"the lab already has {layout.MOST_NODES} nodes, the maximum; 'python -m lab node remove NAME' removes one"
        )
    return free


def existing_and_missing(wanted: dict[str, int]) -> list[Node]:
    """All existing nodes, and for each group the new nodes that it lacks to have the wanted number."""
    found = all_nodes()
    numbers = (number for number in range(1, layout.MOST_NODES + 1) if number not in {node.number for node in found})
    for group, count in wanted.items():
        lacking = count - sum(1 for node in found if node.group == group)
        found += [Node(next(numbers), group) for _ in range(lacking)]
    return sorted(found, key=lambda node: node.number)


def start(node: Node, labels: dict[str, str] | None = None, taints: Sequence[str] = ()) -> None:
    """Connects the node to the network and starts its machine; what exists already stays.

    The node registers with `labels` and `taints` in addition to its default labels. They are kept for its next start.
    """
    registration = node.folder / "registration.json"
    if labels is not None or not registration.exists():
        write(registration, json.dumps({"labels": labels or {}, "taints": list(taints)}))
    wanted = json.loads(registration.read_bytes())
    write(node.folder / "node.json", json.dumps({"number": node.number, "group": node.group}))
    netns.connect_node(node, all_nodes())
    _prepare_disk(node)
    machine = programs.machine(node, programs.default_labels(node) | wanted["labels"], tuple(wanted["taints"]))
    machines.start(machine)


def _prepare_disk(node: Node) -> None:
    """Gives a new node a disk that already has every image."""
    disk = node.folder / "disk"
    if not (disk / "var/lib/containerd").exists():
        prepared = template.ensure(store.recorded_archives(), lambda _: None)
        (disk / "var/lib").mkdir(parents=True, exist_ok=True)
        template.clone(prepared, disk / "var/lib/containerd")
        for name in template.archive_names(prepared):
            write(disk / "images" / name, "")


def import_images(node: Node) -> None:
    """Waits for the node's containerd and imports the images that were added after its disk was made."""
    control = str(folder_of(BY_NAME["containerd"]) / "ctr")

    def answers() -> str | None:
        if succeeds(*machines.enter(node.name, control, "version"), limit=10):
            return None
        return f"containerd does not answer; 'python -m lab logs {node.name}/containerd' shows its log"

    wait(f"containerd of {node.name}", answers, READY_LIMIT)
    for file in store.recorded_archives():
        store.load(file, node)


def wait_ready(nodes: Sequence[Node], limit: float = READY_LIMIT) -> None:
    """Waits until every one of the nodes is Ready in Kubernetes."""
    wanted = {node.name for node in nodes}

    def missing() -> str | None:
        ready = {found["metadata"]["name"] for found in get("nodes") if is_ready(found)}
        late = sorted(wanted - ready)
        return f"not Ready: {', '.join(late)}; 'python -m lab logs {late[0]}/kubelet' shows the log" if late else None

    wait("the nodes", missing, limit)


def is_ready(found: dict[str, object]) -> bool:
    """Whether a Node object has the condition Ready."""
    status = found["status"]
    assert isinstance(status, dict)
    return any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", []))


def remove(node: Node) -> None:
    """Stops the node and removes its object in Kubernetes, machine, network and disk."""
    with suppress(LabError):
        kubectl("delete", "node", node.name, "--ignore-not-found", "--wait=false", limit=15)
    remove_machine(node)


def remove_machine(node: Node) -> None:
    """Removes the node's machine, network, devices and disk. The caller removes its object in Kubernetes."""
    stop(node)
    shutil.rmtree(node.folder, ignore_errors=True)


def stop(node: Node) -> None:
    """Stops the node's machine and removes its network; its disk stays."""
    delay.set_delay(node, 0)
    machines.stop(node.name)
    netns.disconnect_node(node, all_nodes())
    devices.detach(node)


def kill(node: Node) -> None:
    """Kills everything on the node at once, like a power failure. `start` revives the node with its disk."""
    machines.kill_all(node.name)
