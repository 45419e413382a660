"""A WebSocket whose end waits for those that still read from it or write to it.

The library closes the socket while a thread of its own reads. What reads in TLS knows the socket by its number, and the
system gives that number to the next file that is opened: the reader then takes bytes from it, and may write an alert
into it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

from httpx2.websockets import WebSocketSession

_WRITE_LIMIT = 1.0
"""Seconds for a write that is under way when a session ends."""


class StreamSession(WebSocketSession):
    """As the library's, on a stream that is closed when nobody uses it any more."""

    def __init__(self, stream: Any, **options: Any) -> None:
        super().__init__(_Stream(stream), **options)  # type: ignore[arg-type]  # it has what is asked of a stream

    def close(self, code: int = 1000, reason: str | None = None) -> None:
        """End the session; it is not waited for that the other side reads what is being written."""
        # The library would wait for the lock without a limit, and its threads would hold the process up.
        if self._write_lock.acquire(timeout=_WRITE_LIMIT):
            self._write_lock.release()
        else:
            shut(self.stream)
        super().close(code, reason)


class _Stream:
    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._reading = threading.Lock()
        self._writing = threading.Lock()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with self._reading:
            content: bytes = self._stream.read(max_bytes, timeout)
            return content

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with self._writing:
            self._stream.write(buffer, timeout)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        shut(self._stream)
        with self._reading, self._writing:
            self._stream.close()


def shut(stream: Any) -> None:
    """End both directions of a network stream: whoever reads or writes it is woken. Its number stays taken."""
    with contextlib.suppress(OSError):
        # The method of TLS sockets forgets that it was TLS: what is still to be read would come out enciphered.
        socket.socket.shutdown(stream.get_extra_info("socket"), socket.SHUT_RDWR)
