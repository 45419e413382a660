"""The way in from the machine's ordinary network: one port on 127.0.0.1 that leads to the API server."""

from __future__ import annotations

import socket

from lab import background, layout
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.control_plane import identities
from lab.files import write
from lab.network import wires

_NAME = "door"
_PORT = layout.FOLDER / "port"


def open_door() -> int:
    """Starts the forwarder unless it runs, and writes the kubeconfig that leads through it. Gives the port."""
    port = running_port()
    if port is None:
        port = _start(int(_PORT.read_text()) if _PORT.exists() else 0)
        write(_PORT, f"{port}\n")
    config = identities.kubeconfig_for("admin", "lab:admin", ("system:masters",), server=f"https://127.0.0.1:{port}")
    if not layout.KUBECONFIG.exists() or layout.KUBECONFIG.read_bytes() != config.read_bytes():
        write(layout.KUBECONFIG, config.read_bytes(), mode=0o600)
    return port


def close() -> None:
    """Ends the forwarder."""
    background.end(_NAME)


def running_port() -> int | None:
    """The port on 127.0.0.1 that leads to the API server; None while the door is shut."""
    return int(_PORT.read_text()) if background.runs(_NAME) and _PORT.exists() else None


def _start(port: int) -> int:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        # Somebody took the port while the lab was down; a kubeconfig copied elsewhere is stale then.
        listener.bind(("127.0.0.1", 0))
    listener.listen(512)
    program = folder_of(BY_NAME["programs"]) / "forward"
    address = f"{layout.CONTROL_PLANE_ADDRESS}:{layout.API_PORT}"
    background.start(
        _NAME, wires.inside(layout.NAME, program, str(listener.fileno()), address), keep=[listener.fileno()]
    )
    found: int = listener.getsockname()[1]
    listener.close()
    return found
