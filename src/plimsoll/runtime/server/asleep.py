"""Connections while there is no worker: health and metrics are answered here, any other request needs a worker."""

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
"""Bytes that are enough to tell a health check from another request."""


class Asleep:
    """Connections that are accepted and have not sent a request yet."""

    def __init__(self, listener: socket.socket, counts: Callable[[], Counts], *, guarded: bool = False) -> None:
        """`guarded` is for a server that asks who calls it: metrics are answered by a worker then, which can."""
        self._guarded = guarded
        self._listener = listener
        self._counts = counts
        self._waiting: dict[socket.socket, float] = {}
        self._watching = False
        self._wake: list[socket.socket] = []

    def connections_to_serve(self, selector: selectors.BaseSelector) -> list[socket.socket]:
        """All open connections when one of them needs a worker, else none. They are then no longer watched here."""
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
        """Close all connections."""
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
            selector.register(connection, selectors.EVENT_READ, lambda: self._on_bytes(connection, selector))

    def _on_bytes(self, connection: socket.socket, selector: selectors.BaseSelector) -> None:
        """Peek at the first bytes, which a worker must be able to read again."""
        try:
            peeked = connection.recv(ENOUGH, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            peeked = b""
        if not peeked:
            self._drop(connection, selector)
            return
        words = peeked.split(b" ", 2)
        path = words[1].split(b"?")[0].rstrip(b"/") if len(words) > 2 else b""
        if words[0] in {b"GET", b"HEAD"} and path in _ANSWERS and not (self._guarded and _ANSWERS[path] is None):
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
            # The request must be read: closing with unread bytes sends a reset, which discards the response.
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
