"""One request over HTTP/1.1 to a process of this machine or pod: by a socket in a directory that is the server's alone,
or at a port beside it.

It is our own and not that of a library, as each token of each answer passes here: the bytes of an event are handed on
as they come, and no more is read from the process than the client takes.
"""

from __future__ import annotations

import asyncio
import urllib.parse
from collections import deque
from collections.abc import Awaitable
from pathlib import Path
from typing import cast

import httptools

from plimsoll.llms.upstream import ROOT, Headers, UpstreamGone

MOST_WAITING = 32 << 10
"""Bytes that wait for the client before the process is left waiting too."""
_SCRATCH = memoryview(bytearray(16 << 10))
"""What was just read of any answer. The event loop would read so much at once else that a client which does not read
costs most of a megabyte."""


class Exchange(asyncio.BufferedProtocol):
    """An `Answer`."""

    def __init__(self) -> None:
        self.status = 0
        self.retry_after: int | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._pieces: deque[bytes] = deque()
        self._waiting = 0
        self._complete = self._paused = False
        self._problem = ""
        self._news = asyncio.Event()
        self._head = asyncio.Event()

    async def next(self) -> bytes:
        """The next bytes; empty at the end. Raises UpstreamGone."""
        while not self._pieces:
            if self._complete:
                return b""
            if self._problem:
                raise UpstreamGone(self._problem)
            self._news.clear()
            await self._news.wait()
        pieces = b"".join(self._pieces) if len(self._pieces) > 1 else self._pieces[0]
        self._pieces.clear()
        self._waiting = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return pieces

    async def close(self) -> None:
        """Close the connection: the process sees it, and computes no more."""
        self._transport.abort()

    async def head(self) -> None:
        """Wait for the status. Raises UpstreamGone."""
        await self._head.wait()
        if not self.status:
            raise UpstreamGone(self._problem)

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The process has accepted."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """The memory for the next bytes, which is read before anything else is."""
        return _SCRATCH

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes of the answer."""
        try:
            self._parser.feed_data(_SCRATCH[:nbytes])
        except httptools.HttpParserError as error:
            self._end(f"its answer is not HTTP: {error}")
            self._transport.abort()

    def eof_received(self) -> bool:
        """It sends no more."""
        self._end("it ended in the middle of its answer")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """It has closed."""
        self._end("it ended in the middle of its answer")

    # Called by the parser.

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        if name.lower() == b"retry-after" and value.isdigit() and len(value) < 6:
            self.retry_after = int(value)

    def on_headers_complete(self) -> None:
        """The status is known."""
        self.status = self._parser.get_status_code()
        self._head.set()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._pieces.append(body)
        self._waiting += len(body)
        if self._waiting > MOST_WAITING and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._news.set()

    def on_message_complete(self) -> None:
        """The whole answer is there."""
        self._complete = True
        self._news.set()

    def _end(self, problem: str) -> None:
        if not self._complete:
            self._problem = self._problem or problem
        self._head.set()
        self._news.set()


class SocketUpstream:
    """An `Upstream` at a socket."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    async def ask(self, path: str, body: bytes, headers: Headers = ()) -> Exchange:
        """The answer to a POST. Raises UpstreamGone."""
        loop = asyncio.get_running_loop()
        return await _asked(loop.create_unix_connection(Exchange, self._path), path, body, headers)


class BesideUpstream:
    """An `Upstream` at a port of this machine or pod: an engine that has a container of its own."""

    def __init__(self, url: str) -> None:
        """`url` is what the API's paths are below."""
        parts = urllib.parse.urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._base = parts.path.rstrip("/")

    async def ask(self, path: str, body: bytes, headers: Headers = ()) -> Exchange:
        """The answer to a POST. Raises UpstreamGone."""
        connecting = asyncio.get_running_loop().create_connection(Exchange, self._host, self._port)
        return await _asked(connecting, self._base + path.removeprefix(ROOT), body, headers)


async def _asked(
    connecting: Awaitable[tuple[asyncio.Transport, Exchange]], path: str, body: bytes, headers: Headers
) -> Exchange:
    """The answer to a POST by a connection of its own. Raises UpstreamGone."""
    try:
        transport, exchange = await connecting
    except OSError as error:
        raise UpstreamGone(f"it cannot be reached: {error.strerror or error}", reached=False) from error
    head = f"POST {path} HTTP/1.1\r\nhost: llm\r\ncontent-type: application/json\r\nconnection: close\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers)
    transport.writelines([head.encode(), b"content-length: %d\r\n\r\n" % len(body), body])
    try:
        await exchange.head()
    except BaseException:  # also when the client has gone before the first token
        transport.abort()
        raise
    return exchange
