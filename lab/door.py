"""Doors into the lab: each forwards a port on the host's 127.0.0.1 to an API server."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from lab import background, layout
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.control_plane import identities
from lab.files import write
from lab.network import link, netns


@dataclass(frozen=True)
class Door:
    """A door: its name, its target port in the control plane's network, and the kubeconfig that uses the door."""

    name: str
    target_port: int
    kubeconfig: Path

    @property
    def record(self) -> Path:
        """The file that records the door's own port, so that the door reopens on the same port."""
        return layout.FOLDER / f"{self.name}.port"


MAIN = Door("door", layout.API_PORT, layout.KUBECONFIG)


def open_door(door: Door = MAIN) -> int:
    """Starts the forwarder unless it runs, and writes the kubeconfig that uses it. Returns the port on 127.0.0.1."""
    port = running_port(door)
    if port is None:
        # A forwarder that was killed a moment ago may still hold the port.
        background.stop(door.name)
        port = _start(door, int(door.record.read_text()) if door.record.exists() else 0)
        write(door.record, f"{port}\n")
    config = identities.kubeconfig_for("admin", "lab:admin", ("system:masters",), server=f"https://127.0.0.1:{port}")
    if not door.kubeconfig.exists() or door.kubeconfig.read_bytes() != config.read_bytes():
        write(door.kubeconfig, config.read_bytes(), mode=0o600)
    return port


def close(door: Door = MAIN) -> None:
    """Stops the forwarder."""
    background.stop(door.name)


def running_port(door: Door = MAIN) -> int | None:
    """The port on 127.0.0.1 that forwards to the API server; None while the door is closed."""
    return int(door.record.read_text()) if background.is_running(door.name) and door.record.exists() else None


def _start(door: Door, port: int) -> int:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        # Another program took the port while the lab was down. Copies of the kubeconfig are stale from now on.
        listener.bind(("127.0.0.1", 0))
    listener.listen(512)
    program = folder_of(BY_NAME["programs"]) / "forward"
    address = f"{layout.CONTROL_PLANE_ADDRESS}:{door.target_port}"
    background.start(
        door.name,
        netns.in_namespace(layout.NAME, program, str(listener.fileno()), address, link.SETTINGS),
        keep=[listener.fileno()],
    )
    found: int = listener.getsockname()[1]
    listener.close()
    return found
