"""A second API server with many nodes and pods behind which nothing runs, for measurements at size."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable

from lab import background, layout, machines
from lab.build import cache
from lab.build.components import BY_NAME
from lab.commands import run
from lab.control_plane import identities, programs
from lab.door import Door, close, open_door
from lab.errors import LabError
from lab.kubectl import wait
from lab.machines import Machine
from lab.network import netns

Say = Callable[[str], None]
INSTANCE = programs.ApiServerInstance("scale", 3379, 7443)
DOOR = Door("scale-door", INSTANCE.api_port, layout.FOLDER / "scale.kubeconfig")
COMPONENTS = ("programs", "kubernetes", "etcd", "scale")
FILL_LIMIT = 900.0
SERVE_LIMIT = 120.0


def fill(nodes: int, pods: int, namespaces: int, say: Say) -> None:
    """Starts the second API server and replaces its objects with these.

    The objects are written to its etcd in its storage encoding. No scheduler and no controller runs, so nothing
    changes them. Raises LabError when the API server does not serve all of them in the end.
    """
    for name in COMPONENTS:
        cache.ensure(BY_NAME[name], say)
    remove()
    netns.create_bridge()
    found = identities.load()
    stored = programs.etcd(found, INSTANCE)
    machines.start(Machine(INSTANCE.machine, layout.NAME, (stored, programs.api_server(found, INSTANCE))))
    open_door(DOOR)
    wait("the API server", lambda: None if get("/readyz").strip() == "ok" else "not ready", SERVE_LIMIT)
    began = time.monotonic()
    _write(nodes, pods, namespaces, say)
    say(f"{nodes} nodes and {pods} pods written in {time.monotonic() - began:.1f} s")
    wait(
        "the API server to serve all of them", lambda: _unserved("nodes", nodes) or _unserved("pods", pods), SERVE_LIMIT
    )


def remove() -> None:
    """Stops the API server and removes its objects."""
    close(DOOR)
    machines.stop(INSTANCE.machine)
    subprocess.run(["rm", "-rf", "--", INSTANCE.folder], check=True, timeout=60)


def is_there() -> bool:
    """Whether the second API server runs."""
    return background.is_running(DOOR.name) and machines.first_process(INSTANCE.machine) is not None


def _write(nodes: int, pods: int, namespaces: int, say: Say) -> None:
    own = identities.load().etcd
    flags = {
        "etcd": INSTANCE.etcd,
        "certificate": own.certificate,
        "key": own.key,
        "authority": identities.load().cluster.certificate,
        "nodes": nodes,
        "pods": pods,
        "namespaces": namespaces,
    }
    program = cache.folder_of(BY_NAME["scale"]) / "scale"
    command = netns.in_namespace(layout.NAME, program, *(f"-{name}={value}" for name, value in flags.items()))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout
        last = ""
        for line in running.stdout:
            last = line.strip()
            say(last)
    if running.returncode != 0:
        raise LabError(f"writing the objects failed: {last}")


def get(path: str, limit: float = 60.0) -> str:
    """The API server's answer to a GET, as text."""
    program = cache.folder_of(BY_NAME["kubernetes"]) / "kubectl"
    return run(
        program,
        f"--kubeconfig={DOOR.kubeconfig}",
        "get",
        f"--raw={path}",
        f"--request-timeout={limit:.0f}s",
        limit=limit,
    )


def _unserved(kind: str, wanted: int) -> str | None:
    page = json.loads(get(f"/api/v1/{kind}?limit=1"))
    served = len(page["items"]) + page["metadata"].get("remainingItemCount", 0)
    return None if served == wanted else f"the API server serves {served} of {wanted} {kind}"
