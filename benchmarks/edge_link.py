"""A link to a registry that is slow, can be down, and counts what goes over it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

_PIECE = 4096


class Link:
    """A relay to a port of this machine. `rate` is in bytes per second and direction; 0 is as fast as it can."""

    def __init__(self, target: int, rate: float = 0.0) -> None:
        self.rate = rate
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
            for source, sink, way in ((near, far, "up"), (far, near, "down")):
                threading.Thread(target=self._relay, args=(source, sink, way), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, way: str) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE):
                self._wait(len(piece), way)
                sink.sendall(piece)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= {source, sink}

    def _wait(self, count: int, way: str) -> None:
        """All connections of a direction share its rate."""
        with self._lock:
            self.bytes += count
            if not self.rate:
                return
            begin = max(time.monotonic(), self._free[way])
            self._free[way] = begin + count / self.rate
        time.sleep(max(0.0, self._free[way] - time.monotonic()))
