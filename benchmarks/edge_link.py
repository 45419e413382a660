"""A link to a server that is slow and far, can be down, and counts what goes over it."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time

_PIECE = 4096
_UNDER_WAY = 64
"""Pieces of a connection and direction that are on the link at a time."""


class Link:
    """A relay to a port of this machine.

    `rate` is in bytes per second and direction; 0 is as fast as it can. `delay` is in seconds and each direction: a
    connection takes both before its first byte goes.
    """

    def __init__(self, target: int, rate: float = 0.0, delay: float = 0.0) -> None:
        self.rate = rate
        self.delay = delay
        self.bytes = 0
        self.connections = 0
        self._target = target
        self._lock = threading.Lock()
        self._free = {"up": 0.0, "down": 0.0}
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._accepting = True
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """The link is down: what is open breaks off, and nobody answers."""
        with self._lock:
            self._accepting = False
            ends = list(self._open)
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def heal(self) -> None:
        """The link is back."""
        with self._lock:
            self._accepting = True

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            with self._lock:
                accepting = self._accepting
                self.connections += 1
            if not accepting:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._target))
            with self._lock:
                self._open |= {near, far}
            opened = time.monotonic() + 2 * self.delay
            for source, sink, way in ((near, far, "up"), (far, near, "down")):
                sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                under_way: queue.Queue[tuple[float, bytes]] = queue.Queue(_UNDER_WAY)
                threading.Thread(target=self._take, args=(source, under_way, way, opened), daemon=True).start()
                threading.Thread(target=self._hand_on, args=(under_way, source, sink), daemon=True).start()

    def _take(
        self, source: socket.socket, under_way: queue.Queue[tuple[float, bytes]], way: str, opened: float
    ) -> None:
        piece = b""
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE):
                under_way.put((self._through(len(piece), way, opened) + self.delay, piece))
        under_way.put((time.monotonic() + self.delay, b""))

    def _hand_on(self, under_way: queue.Queue[tuple[float, bytes]], source: socket.socket, sink: socket.socket) -> None:
        sound = True
        while True:
            due, piece = under_way.get()
            time.sleep(max(0.0, due - time.monotonic()))
            if not piece:
                break
            # What comes after the other end has gone is taken and thrown away, so that nobody waits for room.
            try:
                if sound:
                    sink.sendall(piece)
            except OSError:
                sound = False
                with contextlib.suppress(OSError):
                    source.shutdown(socket.SHUT_RDWR)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= {source, sink}

    def _through(self, count: int, way: str, opened: float) -> float:
        """When so many bytes are through; all connections of a direction share its rate."""
        with self._lock:
            self.bytes += count
            begin = max(time.monotonic(), opened)
            if not self.rate:
                return begin
            begin = max(begin, self._free[way])
            self._free[way] = begin + count / self.rate
            return self._free[way]
