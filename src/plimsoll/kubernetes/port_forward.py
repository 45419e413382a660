"""A port on 127.0.0.1 that leads to a port of a pod, through the API server and with no other rights than it gives.

Source: the subresource portforward over WebSocket, protocol v4.channel.k8s.io: channel 0 is data, channel 1 errors,
and each begins with the port as two bytes.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.kubernetes.api import Api
from plimsoll.kubernetes.objects import Object

_PROTOCOL = "v4.channel.k8s.io"
_CHUNK = 256 << 10
_DATA, _ERROR = 0, 1
_QUIET = 0.5
_CLOSE_LIMIT = 3.0


class NoPodReady(TargetError):
    """A service is there, and no pod of it takes requests."""


class Forward:
    """Listens until it is closed; each connection is a stream of its own."""

    def __init__(self, api: Api, namespace: str, pod: str, port: int) -> None:
        self._api = api
        self._place = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
        self._pod_port = port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self.problem = ""
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._under_way: dict[socket.socket, threading.Thread] = {}
        threading.Thread(target=self._accept, daemon=True, name=f"forward-{pod}").start()

    def close(self) -> None:
        """Take no more connections, and end those that are open: a WebSocket has threads that hold a process up."""
        self._closed.set()
        # A thread that waits in accept is not woken by close alone.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            under_way = dict(self._under_way)
        for connection in under_way:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in under_way.values():
            thread.join(_CLOSE_LIMIT)

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._carry, args=(connection,), daemon=True)
            with self._lock:
                if self._closed.is_set():
                    connection.close()
                    return
                self._under_way[connection] = thread
            thread.start()

    def _carry(self, connection: socket.socket) -> None:
        parameters = {"ports": str(self._pod_port)}
        try:
            with connection, self._api.websocket(self._place, _PROTOCOL, parameters) as stream:
                over = threading.Event()
                outward = threading.Thread(target=self._outward, args=(connection, stream, over), daemon=True)
                outward.start()
                try:
                    self._inward(connection, stream, over)
                finally:
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
                    outward.join(_CLOSE_LIMIT)
        except Exception as error:  # noqa: BLE001  # of HTTP and WebSocket libraries: one connection less, and why
            self.problem = str(error) if isinstance(error, PlimsollError) else repr(error)
        finally:
            with self._lock:
                self._under_way.pop(connection, None)

    def _outward(self, connection: socket.socket, stream: Any, over: threading.Event) -> None:
        with contextlib.suppress(Exception):  # either side may have gone; the other direction says why
            while chunk := connection.recv(_CHUNK):
                stream.send_bytes(bytes([_DATA]) + chunk)
        over.set()

    def _inward(self, connection: socket.socket, stream: Any, over: threading.Event) -> None:
        import queue

        greeted: set[int] = set()
        while True:
            try:
                message = stream.receive_bytes(timeout=_QUIET)
            except (queue.Empty, TimeoutError):
                # A pod that reads no more keeps the other direction waiting, which then cannot say that it is over.
                if over.is_set() or self._closed.is_set():
                    return
                continue
            channel, content = message[0], message[1:]
            if channel not in greeted:
                greeted.add(channel)
                content = content[2:]
            if channel == _ERROR and content:
                self.problem = content.decode(errors="replace")
                return
            if channel == _DATA and content:
                connection.sendall(content)


@contextlib.contextmanager
def to_service(api: Api, namespace: str, service: str) -> Iterator[str]:
    """`127.0.0.1:PORT` for as long as the block runs, leading to one ready pod of a service.

    Raises TargetError when no pod of it is ready.
    """
    pod, port = ready_pod(api, namespace, service)
    forward = Forward(api, namespace, pod, port)
    try:
        yield f"127.0.0.1:{forward.port}"
    finally:
        forward.close()


def ready_pod(api: Api, namespace: str, service: str, port: int | None = None) -> tuple[str, int]:
    """A ready pod of a service, and the port in it that the service's port (by default its first) leads to.

    Raises TargetError when there is none, or when the service has no pods or ports of its own.
    """
    found = api.get("v1", "Service", service, namespace)
    ports = found["spec"].get("ports")
    # No selector at all would select every pod of the namespace.
    if not ports or not found["spec"].get("selector"):
        told = f"the service {service} has no {'selector' if ports else 'ports'}: no pod is reached by it"
        raise TargetError(told, where=f"namespace {namespace}", hint="name the registry or service that pods serve")
    wanted = next((each for each in ports if each["port"] == port), ports[0])["targetPort"]
    selector = ",".join(f"{key}={value}" for key, value in found["spec"]["selector"].items())
    ready = [pod for pod in api.list("v1", "Pod", namespace, selector) if _is_ready(pod)]
    if not ready:
        raise NoPodReady(
            f"no pod of the service {service} is ready", where=f"namespace {namespace}", hint="plimsoll status"
        )
    inner = wanted if isinstance(wanted, int) else _named_port(ready[0], str(wanted))
    return str(ready[0]["metadata"]["name"]), inner


def _is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", [])
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def _named_port(pod: Object, name: str) -> int:
    for container in pod["spec"]["containers"]:
        for port in container.get("ports", []):
            if port.get("name") == name:
                return int(port["containerPort"])
    raise TargetError(f"the pod has no port '{name}'", where=str(pod["metadata"]["name"]))
