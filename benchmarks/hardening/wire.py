"""A client of plain sockets, which sends what no HTTP library would send."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Sequence

from msgspec import Struct

LIMIT = 20.0
"""Seconds for an answer, or for the end of the connection: more than a busy machine takes."""
MOST = 64 << 20
"""Bytes of answers that are read."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_JSON = re.compile(rb"\r\ninference-header-content-length: *(\d+)", re.IGNORECASE)
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


class Answer(Struct, frozen=True):
    """`json_length` is that of the JSON when binary tensors follow."""

    status: int
    body: bytes
    json_length: int | None = None


class Silence(Exception):
    """The server neither answered nor closed the connection within the limit."""


class NotHttp(Exception):
    """What the server sent is no HTTP response."""


def next_answer(buffer: bytes) -> tuple[Answer, bytes] | None:
    """The first whole response in the bytes, and what follows; `None` when there is none. Raises NotHttp."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if buffer and not b"HTTP/1.1 ".startswith(buffer[:9]):
            raise NotHttp(repr(buffer[:80]))
        return None
    head = buffer[: end + 2]
    status = _STATUS.match(head)
    if status is None:
        raise NotHttp(repr(buffer[:80]))
    code, length = int(status[1]), _LENGTH.search(head)
    if length is None and code >= 200:
        raise NotHttp(f"a response without a length: {head[:80]!r}")
    size = int(length[1]) if length else 0
    if len(buffer) < end + 4 + size:
        return None
    json_length = _JSON.search(head)
    body = buffer[end + 4 : end + 4 + size]
    return Answer(code, body, int(json_length[1]) if json_length else None), buffer[end + 4 + size :]


class Client:
    """One connection after the other to one port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _open(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=LIMIT)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def ask(self, raw: bytes) -> Answer | None:
        """The answer to one well-formed request; `None` when the connection ended. Raises Silence, NotHttp."""
        connection = self._open()
        # The server may have refused it before its end: its answer can still be read.
        with contextlib.suppress(OSError):
            connection.sendall(raw)
        buffer = b""
        while (found := next_answer(buffer)) is None or found[0].status < 200:
            if found is not None:
                buffer = found[1]
                continue
            piece = _received(connection)
            if not piece:
                self.close()
                return None
            buffer += piece
        return found[0]

    def send_all(self, pieces: Sequence[bytes], *, bodiless: bool = False) -> list[Answer]:
        """Every answer on a connection of its own that sends these pieces and then nothing more.

        `bodiless`: some of them may answer HEAD, so that only their statuses are known. Raises Silence, NotHttp.
        """
        self.close()
        connection = self._open()
        with contextlib.suppress(OSError):
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
        buffer, answers = b"", []
        while piece := _received(connection):
            buffer += piece
            if len(buffer) > MOST:
                break
        self.close()
        if bodiless:
            return [Answer(int(status[1]), b"") for status in _STATUS.finditer(buffer)]
        while (found := next_answer(buffer)) is not None:
            answers.append(found[0])
            buffer = found[1]
        if buffer:
            raise NotHttp(f"the last response is not whole: {buffer[:80]!r}")
        return answers


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 20)
    except TimeoutError:
        connection.close()
        raise Silence from None
    except OSError:
        return b""
