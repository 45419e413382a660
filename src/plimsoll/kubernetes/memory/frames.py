"""The server's side of a WebSocket (RFC 6455), as far as port-forward and exec need it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import struct
import threading
from collections.abc import Iterator
from io import BufferedIOBase

_KEY = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUED, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10


def accept_of(key: str) -> str:
    """The header Sec-WebSocket-Accept for a request's key."""
    return base64.b64encode(hashlib.sha1(f"{key}{_KEY}".encode(), usedforsecurity=False).digest()).decode()


class Frames:
    """Messages over a connection after its handshake. One thread reads, several may write."""

    def __init__(self, reader: BufferedIOBase, connection: socket.socket) -> None:
        self._reader = reader
        self._connection = connection
        self._writing = threading.Lock()

    def send(self, content: bytes) -> None:
        """Send one message."""
        self._send(_BINARY, content)

    def close(self) -> None:
        """Say that no more comes."""
        with contextlib.suppress(OSError):
            self._send(_CLOSE, struct.pack(">H", 1000))

    def messages(self) -> Iterator[bytes]:
        """Messages until the other side ends."""
        whole = b""
        while True:
            frame = self._frame()
            if frame is None or frame[1] == _CLOSE:
                return
            final, kind, content = frame
            if kind == _PING:
                self._send(_PONG, content)
            elif kind in (_CONTINUED, _TEXT, _BINARY):
                whole += content
                if final:
                    yield whole
                    whole = b""

    def _frame(self) -> tuple[bool, int, bytes] | None:
        try:
            head = self._exactly(2)
            length = head[1] & 0x7F
            if length == 126:
                (length,) = struct.unpack(">H", self._exactly(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self._exactly(8))
            mask = self._exactly(4) if head[1] & 0x80 else b""
            content = self._exactly(length)
        except (OSError, ValueError, EOFError):
            return None
        if mask:
            whole = (mask * (length // 4 + 1))[:length]
            content = (int.from_bytes(content, "big") ^ int.from_bytes(whole, "big")).to_bytes(length, "big")
        return bool(head[0] & 0x80), head[0] & 0x0F, content

    def _exactly(self, count: int) -> bytes:
        content = self._reader.read(count) if count else b""
        if len(content) < count:
            raise EOFError
        return content

    def _send(self, kind: int, content: bytes) -> None:
        length = len(content)
        if length < 126:
            head = struct.pack(">BB", 0x80 | kind, length)
        elif length < 1 << 16:
            head = struct.pack(">BBH", 0x80 | kind, 126, length)
        else:
            head = struct.pack(">BBQ", 0x80 | kind, 127, length)
        with self._writing:
            self._connection.sendall(head + content)
