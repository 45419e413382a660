"""The pieces of a response of which the end is not known when it begins, as they come from a server."""

from __future__ import annotations

import asyncio
from collections import deque

ROOM = 256 << 10
"""Bytes that wait for a client; beyond them nothing more is read of the server."""


class Pieces:
    """What a server has sent and no client has read yet. One reads, and the connection puts in."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._changed = asyncio.Event()
        self._over = False
        self._problem: Exception | None = None
        self._paused = False

    def put(self, piece: bytes) -> None:
        """The next piece."""
        self._waiting.append(piece)
        self._bytes += len(piece)
        self._changed.set()
        if self._bytes > ROOM and not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def end(self, problem: Exception | None = None) -> None:
        """There is nothing more; with a problem it has broken off."""
        if not self._over:
            self._over, self._problem = True, problem
            self._changed.set()

    async def next(self, limit: float) -> bytes:
        """What has come; empty at the end. Raises what it broke off with, and TimeoutError after `limit` seconds."""
        async with asyncio.timeout(limit):
            while not self._waiting and not self._over:
                self._changed.clear()
                await self._changed.wait()
        if self._waiting:
            taken = b"".join(self._waiting)
            self._waiting.clear()
            self._bytes = 0
            if self._paused and not self._transport.is_closing():
                self._paused = False
                self._transport.resume_reading()
            return taken
        if self._problem is not None:
            raise self._problem
        return b""
