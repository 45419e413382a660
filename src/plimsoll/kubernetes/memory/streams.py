"""Port-forward and exec over WebSocket: ports that lead to sockets of this machine, and commands that a test answers.

Source: the protocols v4.channel.k8s.io and v5.channel.k8s.io. The first byte of a message is its channel.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from plimsoll.kubernetes.memory.frames import Frames
from plimsoll.kubernetes.memory.refusals import Manifest, bad_request

_CHUNK = 64 << 10
_CONNECT_LIMIT = 5.0
_END_LIMIT = 5.0
_DATA, _PROBLEM = 0, 1
_OUT, _ERR, _STATUS = 1, 2, 3


class Ran(Struct, frozen=True, kw_only=True):
    """How a command in a container ended."""

    code: int = 0
    stdout: str = ""
    stderr: str = ""


class ContainerCommand(Struct, frozen=True, kw_only=True):
    """A command that somebody runs in a container."""

    pod: Manifest
    container: str
    command: tuple[str, ...]


Execute = Callable[[ContainerCommand], Ran]


class Ports:
    """Which port of which pod leads to which port of 127.0.0.1. A pod without a name of its own stands for all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ports: dict[tuple[str, str, int], int] = {}

    def lead(self, namespace: str, pod: str, port: int, to: int) -> None:
        """Lead a pod's port to a port of this machine; an empty `pod` is any pod of the namespace."""
        with self._lock:
            self._ports[namespace, pod, port] = to

    def of(self, namespace: str, pod: str, port: int) -> int | None:
        """Where a port leads; `None` where nobody listens."""
        with self._lock:
            return self._ports.get((namespace, pod, port), self._ports.get((namespace, "", port)))


def check_placed(pod: Manifest) -> None:
    """Raises StatusError (400) for a pod that no node has."""
    if not pod["spec"].get("nodeName"):
        raise bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")


def forward(frames: Frames, ports: Ports, pod: Manifest, port: int) -> None:
    """Carry one forwarded connection to its end."""
    for channel in (_DATA, _PROBLEM):
        frames.send(bytes([channel]) + struct.pack("<H", port))
    metadata = pod["metadata"]
    to = ports.of(metadata["namespace"], metadata["name"], port)
    try:
        if to is None:
            raise ConnectionRefusedError(f"dial tcp4 127.0.0.1:{port}: connect: connection refused")
        upstream = socket.create_connection(("127.0.0.1", to), timeout=_CONNECT_LIMIT)
    except OSError as error:
        told = f"error forwarding port {port} to pod {metadata['uid']}, uid : {error}"
        frames.send(bytes([_PROBLEM]) + told.encode())
        frames.close()
        return
    upstream.settimeout(None)
    with upstream:
        back = threading.Thread(target=_back, args=(frames, upstream), daemon=True, name="forward-back")
        back.start()
        with contextlib.suppress(OSError):
            for message in frames.messages():
                if message[:1] == bytes([_DATA]):
                    upstream.sendall(message[1:])
        with contextlib.suppress(OSError):
            upstream.shutdown(socket.SHUT_RDWR)
        back.join(_END_LIMIT)


def _back(frames: Frames, upstream: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := upstream.recv(_CHUNK):
            frames.send(bytes([_DATA]) + chunk)
    frames.close()


def execute(frames: Frames, script: Execute | None, pod: Manifest, container: str, command: Sequence[str]) -> None:
    """Run a command by the test's script, and tell how it ended."""
    if script is None:
        ran = Ran(code=127, stderr=f"{' '.join(command)}: nobody answers commands in this cluster\n")
    else:
        ran = script(ContainerCommand(pod=pod, container=container, command=tuple(command)))
    for channel, text in ((_OUT, ran.stdout), (_ERR, ran.stderr)):
        if text:
            frames.send(bytes([channel]) + text.encode())
    status: Manifest = {"metadata": {}, "status": "Success"}
    if ran.code:
        told = f"command terminated with non-zero exit code: exit status {ran.code}"
        causes = [{"reason": "ExitCode", "message": str(ran.code)}]
        status |= {"status": "Failure", "message": told, "reason": "NonZeroExitCode", "details": {"causes": causes}}
    frames.send(bytes([_STATUS]) + msgspec.json.encode(status))
    frames.close()
