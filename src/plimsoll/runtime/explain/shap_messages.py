"""What a server and the process that explains for it say to each other, over a socket."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable

MOST_BYTES = 256 << 20
_LENGTH = struct.Struct("!Q")


@decodable
class Rows(Struct, frozen=True, kw_only=True):
    """Rows to explain: doubles in row-major order."""

    content: bytes
    shape: tuple[int, int]


@decodable
class Reply(Struct, frozen=True, kw_only=True):
    """Contributions (`shape` is rows, outputs, features) and base in single precision, or why there are none.

    The first reply has neither: it says that rows may come.
    """

    values: bytes = b""
    base: bytes = b""
    shape: tuple[int, ...] = ()
    problem: str = ""


Message = TypeVar("Message", Rows, Reply)


def send(channel: socket.socket, message: Struct) -> None:
    """Send a message. Raises OSError."""
    content = msgspec.msgpack.encode(message)
    channel.sendall(_LENGTH.pack(len(content)) + content)


def receive(channel: socket.socket, shape: type[Message], waited: Callable[[], None] = lambda: None) -> Message | None:
    """The next message; None at the end of the connection, or for what is none.

    `waited` is called at each timeout of the socket, and may raise.
    """
    head = _exactly(channel, _LENGTH.size, waited)
    if head is None or (size := _LENGTH.unpack(head)[0]) > MOST_BYTES:
        return None
    content = _exactly(channel, size, waited)
    try:
        return msgspec.msgpack.decode(content, type=shape) if content is not None else None
    except UNREADABLE:
        return None


def _exactly(channel: socket.socket, size: int, waited: Callable[[], None]) -> bytes | None:
    found = bytearray()
    while len(found) < size:
        try:
            part = channel.recv(min(size - len(found), 1 << 20))
        except TimeoutError:
            waited()
            continue
        except OSError:
            return None
        if not part:
            return None
        found += part
    return bytes(found)
