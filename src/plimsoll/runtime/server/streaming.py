"""Sends a response piece by piece, no faster than its client reads it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import aclosing, contextmanager, suppress

from plimsoll.runtime.server.responses import Stream, stream_head

HELD = 16 << 10
"""Bytes of a stream that wait here for a client that does not read. As many wait in the kernel, which would take some
megabytes else."""
UNSENT: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)
"""The option by which the kernel takes no more than it can send soon; not every system has it."""


class StreamWriter:
    """One for each stream. The connection says when the client reads too slowly, and when it reads again."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._room = asyncio.Event()
        self._room.set()

    def pause(self) -> None:
        """Send nothing for now."""
        self._room.clear()

    def resume(self) -> None:
        """Send on."""
        self._room.set()

    async def send(self, stream: Stream, date: bytes, *, last: bool) -> None:
        """Send all of it. When it is cancelled, the pieces are closed."""
        with _little_held(self._transport) as transport:
            await self._send(transport, stream, date, last=last)

    async def _send(self, transport: asyncio.Transport, stream: Stream, date: bytes, *, last: bool) -> None:
        async with aclosing(stream.pieces) as pieces:  # type: ignore[type-var]  # it is a generator
            transport.write(stream_head(stream, date, last=last))
            async for piece in pieces:
                if piece:
                    transport.writelines([b"%x\r\n" % len(piece), piece, b"\r\n"])
                await self._room.wait()
        transport.write(b"0\r\n\r\n")


@contextmanager
def _little_held(transport: asyncio.Transport) -> Iterator[asyncio.Transport]:
    """The transport, of which little waits to be sent meanwhile."""
    transport.set_write_buffer_limits(high=HELD)
    _hold_in_kernel(transport, HELD)
    try:
        yield transport
    finally:
        if not transport.is_closing():
            transport.set_write_buffer_limits()
            _hold_in_kernel(transport, 0)


def _hold_in_kernel(transport: asyncio.Transport, most: int) -> None:
    """Have the kernel hold no more that is not sent; 0 is the system's own limit."""
    own = transport.get_extra_info("socket")
    if UNSENT is None or own is None or own.family == socket.AF_UNIX:
        return
    with suppress(OSError):  # its client has just gone
        own.setsockopt(socket.IPPROTO_TCP, UNSENT, most)
