"""`up` brings the lab from any state to the requested one; `down` removes every trace of it."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from lab import cgroups, door, layout, machines, nodes, requirements
from lab.accelerators import driver as accelerators
from lab.addons import catalogue
from lab.build import cache
from lab.build.components import BY_NAME
from lab.commands import run, succeeds
from lab.control_plane import programs as control_plane
from lab.control_plane import storage
from lab.errors import LabError
from lab.images import store, template
from lab.images.archive import Image
from lab.kubectl import api_problem, apply, render_template, wait, wait_for_rollout
from lab.layout import Node
from lab.network import netns

Say = Callable[[str], None]
CORE = ("programs", "kubernetes", "etcd", "containerd", "coredns")
"""What every lab is built from; a light one has kine in the place of etcd."""
API_LIMIT = 60.0
_MANIFESTS = Path(__file__).resolve().parent / "manifests"


def up(count: int, accelerated: int, addons: Sequence[str], say: Say, *, light: bool = False) -> None:
    """Builds what is missing, starts what does not run, and waits until all of it works.

    The lab then has at least `count` plain nodes and `accelerated` nodes with accelerators. Nodes that were added
    before stay. A `light` lab keeps its objects in SQLite. Raises LabError with the part that did not start.
    """
    requirements.check()
    storage.decide(light=light)
    core = (storage.component() if name == "etcd" else name for name in CORE)
    for name in (*core, *catalogue.components_of(addons)):
        cache.ensure(BY_NAME[name], say)
    with _exclusive_lock(say):
        # Again, as a `down` may have removed the mark during a long build.
        storage.decide(light=light)
        netns.create_bridge()
        machines.start(control_plane.machine())
        port = door.open_door()
        store.record_archives(
            [store.ensure_archive(image) for image in (*_system_images(), *catalogue.images_of(addons))]
        )
        template.ensure(store.recorded_archives(), say)
        wanted = nodes.existing_and_missing({"plain": count, "accelerated": accelerated})
        for node in wanted:
            nodes.start(node)
        say(f"control plane and {len(wanted)} nodes started; the API server is at 127.0.0.1:{port}")
        wait("the API server", api_problem, API_LIMIT)
        apply(_system_manifest())
        for node in wanted:
            nodes.import_images(node)
        nodes.wait_ready(wanted)
        say(f"Ready nodes: {', '.join(node.name for node in wanted)}")
        wait_for_rollout("kube-system", "deployment/coredns")
        if any(node.accelerated for node in wanted):
            accelerators.install(wanted)
        catalogue.wait_for_blocking()
        catalogue.install(addons, say)


def _system_images() -> list[Image]:
    return [store.agnhost_image(), store.program_image("coredns", "coredns"), accelerators.image()]


def _system_manifest() -> str:
    image = store.program_image("coredns", "coredns").names[0]
    return render_template(_MANIFESTS / "system.yaml", COREDNS=image, DNS_ADDRESS=str(layout.DNS_ADDRESS))


def down(say: Say) -> None:
    """Stops and removes everything that carries the lab's name. It needs no record, so it also works after a kill."""
    requirements.check_rights()
    with _exclusive_lock(say):
        door.close()
        names = _machines()
        with ThreadPoolExecutor(max(1, len(names))) as pool:
            list(pool.map(machines.kill_all, names))
        cgroups.remove()
        for namespace in netns.all_namespaces():
            netns.remove_namespace(namespace)
        for device in _loop_devices():
            succeeds("losetup", "--detach", device)
        _remove_folder()
    say("the lab is removed")


def _machines() -> list[str]:
    found = {folder.name for folder in (layout.FOLDER / "machines").glob("*")}
    for hierarchy in cgroups.hierarchies():
        found |= {folder.name for folder in (hierarchy / layout.NAME).glob("*") if folder.is_dir()}
    return sorted(found)


def _loop_devices() -> list[str]:
    lines = run("losetup", "--list", "--noheadings", "--output=NAME,BACK-FILE").splitlines()
    return [line.split()[0] for line in lines if str(layout.FOLDER) in line]


def _remove_folder() -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((path for path in mounts if Path(path).is_relative_to(layout.FOLDER)), reverse=True):
        succeeds("umount", "--lazy", mount)
    if layout.FOLDER.exists():
        shutil.rmtree(layout.FOLDER)


@contextmanager
def _exclusive_lock(say: Say) -> Iterator[None]:
    """Allows one `up` or `down` at a time."""
    lock = Path("/run") / f"{layout.NAME}.lock"
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another 'up' or 'down' is running; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def require_running() -> None:
    """Raises LabError when the control plane does not run."""
    if machines.first_process(layout.CONTROL_PLANE) is None:
        raise LabError("the lab does not run; 'python -m lab up' starts it")


def add_node(group: str, say: Say) -> Node:
    """Adds a node to a group and waits until it is Ready."""
    with _exclusive_lock(say):
        node = Node(nodes.next_number(), group)
        nodes.start(node)
        nodes.import_images(node)
        nodes.wait_ready([node])
        if node.accelerated:
            accelerators.install(nodes.all_nodes())
        say(f"{node.name} is Ready")
        return node
