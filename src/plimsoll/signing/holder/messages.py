"""Messages between the holder of a key and those who have something signed: a length, and JSON.

asked:    {"do": "sign" or "sign-document", "payload": "<base64>"} or {"do": "hello"}
answered: {"key_id", "envelope" or "signature"} or {"key_id", "key"} or {"refused", "hint"}
"""

from __future__ import annotations

import socket
import struct

import msgspec
from msgspec import Struct

from plimsoll.decoding import decodable

MOST_BYTES = 128 << 20
"""Bytes of one message: a bill of materials has some millions."""
_LENGTH = struct.Struct(">Q")


@decodable
class Asked(Struct, frozen=True, kw_only=True):
    """What a holder is asked."""

    do: str
    payload: bytes = b""


@decodable
class Answered(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a holder answers: the id of its key, and an envelope or a signature in base64, or why not."""

    key_id: str = ""
    key: dict[str, object] = {}
    envelope: bytes = b""
    signature: str = ""
    refused: str = ""
    hint: str = ""


def send(connection: socket.socket, message: Struct) -> None:
    """Send a message. Raises OSError."""
    content = msgspec.json.encode(message)
    connection.sendall(_LENGTH.pack(len(content)) + content)


def receive(connection: socket.socket) -> bytes:
    """The bytes of a message. Raises OSError, and ConnectionError for one that breaks off or is too long."""
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    if length > MOST_BYTES:
        raise ConnectionError(f"a message of {length} bytes")
    return _exactly(connection, length)


def discard(connection: socket.socket) -> None:
    """Read a message and keep nothing of it, so that its sender can read the answer. Raises OSError."""
    (left,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    while left > 0:
        found = connection.recv(min(left, 1 << 20))
        if not found:
            return
        left -= len(found)


def _exactly(connection: socket.socket, count: int) -> bytes:
    content = bytearray()
    while len(content) < count:
        found = connection.recv(min(count - len(content), 1 << 20))
        if not found:
            raise ConnectionError("the other side has closed the connection")
        content += found
    return bytes(content)
