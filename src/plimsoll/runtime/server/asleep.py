"""What happens to clients while there is no worker: health and metrics are answered, anything else wakes one."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Callable

from plimsoll.runtime.server.counts import Counts

PATIENCE = 30.0
"""Seconds that a client has to send the first bytes of a request."""
MOST = 256
"""Clients that may wait without having sent anything."""
ENOUGH = 64
"""Bytes by which a request is told from a look at the health."""


class Asleep:
    """Connections that have been accepted and have not said what they want."""

    def __init__(self, listener: socket.socket, counts: Callable[[], Counts]) -> None:
        self._listener = listener
        self._counts = counts
        self._waiting: dict[socket.socket, float] = {}
        self._watching = False
        self._wake: list[socket.socket] = []

    def look(self, selector: selectors.BaseSelector) -> list[socket.socket]:
        """The connections to start a worker for, all of those that wait; empty when there is no need."""
        if not self._watching:
            self._watching = True
            selector.register(self._listener, selectors.EVENT_READ, lambda: self._accept(selector))
        for connection, since in list(self._waiting.items()):
            if time.monotonic() - since > PATIENCE:
                self._drop(connection, selector)
        if not self._wake:
            return []
        waking = [*self._wake, *(c for c in self._waiting if c not in self._wake)]
        self._stop_watching(selector)
        return waking

    def close(self, selector: selectors.BaseSelector) -> None:
        """Nobody is waited for any more."""
        waiting = list(self._waiting)
        self._stop_watching(selector)
        for connection in waiting:
            connection.close()

    def _stop_watching(self, selector: selectors.BaseSelector) -> None:
        if self._watching:
            selector.unregister(self._listener)
            self._watching = False
        for connection in self._waiting:
            selector.unregister(connection)
        self._waiting.clear()
        self._wake = []

    def _accept(self, selector: selectors.BaseSelector) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            if len(self._waiting) >= MOST:
                self._drop(next(iter(self._waiting)), selector)
            self._waiting[connection] = time.monotonic()
            selector.register(connection, selectors.EVENT_READ, lambda: self._heard(connection, selector))

    def _heard(self, connection: socket.socket, selector: selectors.BaseSelector) -> None:
        """Look at what has come, without taking it."""
        try:
            said = connection.recv(ENOUGH, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            self._drop(connection, selector)
            return
        words = said.split(b" ", 2)
        path = words[1].split(b"?")[0].rstrip(b"/") if len(words) > 2 else b""
        if words[0] in {b"GET", b"HEAD"} and path in _ANSWERS:
            kind, body = _ANSWERS[path] or self._metrics()
            self._answer(connection, kind, b"" if words[0] == b"HEAD" else body, len(body))
            self._drop(connection, selector)
        elif connection not in self._wake:
            self._wake.append(connection)

    def _metrics(self) -> tuple[bytes, bytes]:
        from plimsoll.runtime.server.metrics import CONTENT_TYPE, page

        return CONTENT_TYPE.encode(), page(self._counts())

    def _answer(self, connection: socket.socket, kind: bytes, body: bytes, length: int) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (
            kind,
            length,
        )
        with contextlib.suppress(OSError):
            # What was asked is taken, or closing would reset the answer away.
            connection.recv(64 << 10)
            connection.sendall(head + body)
            connection.shutdown(socket.SHUT_WR)

    def _drop(self, connection: socket.socket, selector: selectors.BaseSelector) -> None:
        selector.unregister(connection)
        del self._waiting[connection]
        connection.close()


_JSON = b"application/json"
_ANSWERS: dict[bytes, tuple[bytes, bytes] | None] = {
    b"/v2/health/live": (_JSON, b'{"live":true}'),
    b"/v2/health/ready": (_JSON, b'{"ready":true}'),
    b"/metrics": None,
}
"""A service without a worker is ready: its next request will be answered."""
