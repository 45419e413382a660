"""Sends a response piece by piece, no faster than its client reads it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from plimsoll.runtime.server.responses import Stream, stream_head


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
        transport = self._transport
        async with aclosing(stream.pieces) as pieces:  # type: ignore[type-var]  # it is a generator
            transport.write(stream_head(stream, date, last=last))
            async for piece in pieces:
                if piece:
                    transport.writelines([b"%x\r\n" % len(piece), piece, b"\r\n"])
                await self._room.wait()
        transport.write(b"0\r\n\r\n")
