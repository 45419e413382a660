"""A server on this machine that answers each kind of request with given bytes, and closes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Mapping

ENDLESS = b"\0<endless>\0"
"""At the end of an answer: bytes follow until the client closes, or `FILL` of them were sent."""
FILL = 64 << 20
LIMIT = 10.0
"""Seconds for one connection to go on."""
REQUESTS = 200
"""Connections in one case that are answered."""


class HostileRegistry:
    """Gives each connection one answer; `port` is on 127.0.0.1."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self._answers: Mapping[str, bytes] = {}
        self._sent = 0
        self._requests = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def begin(self, answers: Mapping[str, bytes]) -> None:
        """Answer so from now on."""
        self._answers, self._sent, self._requests = answers, 0, 0

    def end(self) -> int:
        """The bytes without an end that were sent."""
        return self._sent

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            self._requests += 1
            if self._requests <= REQUESTS:
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()
            else:
                connection.close()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(LIMIT)
            self._answer_one(connection)

    def _answer_one(self, connection: socket.socket) -> None:
        """Raises OSError when the client has ended the connection."""
        request = b""
        while b"\r\n\r\n" not in request:
            piece = connection.recv(1 << 16)
            if not piece:
                return
            request += piece
        answer = self._answers.get(kind_of(request), b"").replace(b"PORT", str(self.port).encode())
        answer, endless, _ = answer.partition(ENDLESS)
        connection.sendall(answer)
        while endless and self._sent < FILL:
            self._sent += connection.send(b"x" * (1 << 16))
        connection.shutdown(socket.SHUT_WR)
        # What the client still sends is read, as a reset would take the answer from it.
        while connection.recv(1 << 16):
            pass


def kind_of(request: bytes) -> str:
    """What a request is for."""
    method, _, rest = request.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if path.startswith(b"/token"):
        return "token"
    if method in {b"PUT", b"PATCH"}:
        return "put" if method == b"PUT" else "uploads"
    for name in ("uploads", "manifests", "blobs", "tags", "referrers"):
        if f"/{name}/".encode() in path:
            return name
    return "manifests"
