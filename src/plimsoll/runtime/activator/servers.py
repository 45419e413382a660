"""Send requests to servers behind one address, and wait while no server is ready.

HTTP/1.1, one request at a time on a connection (RFC 9112); llhttp (through httptools) reads the answers.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from typing import cast

import httptools
from msgspec import Struct

from plimsoll.runtime.activator.events import Pieces

_CONNECT_LIMIT = 1.0
_RETRY_INTERVAL = 0.1
_TRIES = 3
"""Inference is idempotent, so a request that a server dropped is sent again."""
_MAX_REQUESTS, _MAX_AGE = 256, 5.0
"""Requests and seconds after which a connection is closed: load balancers choose a server per connection, and new
servers must get requests soon."""


class ServerResponse(Struct, gc=False):
    """A server's response. Header names are in lower case. One that is a stream of events has `pieces`, and no body."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    pieces: AsyncIterator[bytes] | None = None


class NoServerError(Exception):
    """No server responded. The message is the reason."""


class _ConnectionLost(Exception):
    """The connection closed before the response came."""


class _ServerConnection(asyncio.Protocol):
    """One connection to a server."""

    def __init__(self) -> None:
        self.opened = time.monotonic()
        self.requests = 0
        self._answer: asyncio.Future[ServerResponse] | None = None
        self._usable = True
        self._body: list[bytes] = []
        self._headers: list[tuple[bytes, bytes]] = []
        self.pieces: Pieces | None = None
        """Of a response that is handed on while it comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse a part of a response."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, AttributeError) as error:
            self._end(_ConnectionLost(f"the server sent something other than HTTP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The server closed the connection or ended."""
        self._end(_ConnectionLost(str(exc or "the server closed the connection")))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A callback of llhttp."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """A callback of llhttp. Events are for who waits for each of them: the response begins with the first."""
        if self._parser.get_status_code() == 200 and any(_is_events(*each) for each in self._headers):
            self.pieces = Pieces(self._transport)
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(ServerResponse(200, self._headers, b""))

    def on_body(self, part: bytes) -> None:
        """A callback of llhttp."""
        if self.pieces is not None:
            self.pieces.put(part)
        else:
            self._body.append(part)

    def on_message_complete(self) -> None:
        """A callback of llhttp: the response is complete, unless it was an interim one (1xx)."""
        status = self._parser.get_status_code()
        if status < 200:
            self._headers, self._body = [], []
            return
        self._usable = self._usable and self._parser.should_keep_alive()
        if self.pieces is not None:
            self.pieces.end()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(ServerResponse(status, self._headers, b"".join(self._body)))

    async def send(self, parts: list[bytes | memoryview], limit: float) -> ServerResponse:
        """Send a request. Raises _ConnectionLost, and TimeoutError after `limit` seconds."""
        self.requests += 1
        self._headers, self._body, self.pieces = [], [], None
        self._parser = httptools.HttpResponseParser(self)
        self._answer = asyncio.get_running_loop().create_future()
        if not self._usable:
            raise _ConnectionLost("the server closed the connection")
        self._transport.writelines(parts)
        try:
            async with asyncio.timeout(limit):
                return await self._answer
        except BaseException:
            # A late response would be taken for the response to the next request.
            self.close()
            raise

    @property
    def reusable(self) -> bool:
        """Whether the connection can take another request."""
        return self._usable and self.requests < _MAX_REQUESTS and time.monotonic() - self.opened < _MAX_AGE

    def close(self) -> None:
        """Close the connection."""
        self._usable = False
        self._transport.close()

    def _end(self, error: _ConnectionLost) -> None:
        self._usable = False
        if self.pieces is not None:
            self.pieces.end(error)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


def _is_events(name: bytes, value: bytes) -> bool:
    return name == b"content-type" and value.startswith(b"text/event-stream")


class ServerPool:
    """The servers behind one address; for a while there may be none.

    `patience` is the number of seconds to wait for a server, `limit` the number of seconds to wait for a response.
    """

    def __init__(
        self, host: str, port: int, *, patience: float, limit: float, tls: ssl.SSLContext | None = None
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._patience, self._limit = patience, limit
        self._idle: list[_ServerConnection] = []
        self._absent = False
        self._connect_lock = asyncio.Lock()
        self.waited = 0
        """Number of requests that found no server ready."""

    async def send(self, parts: list[bytes | memoryview]) -> ServerResponse:
        """Send a request to any server. Raises NoServerError when no response comes."""
        deadline = time.monotonic() + self._patience
        dropped = 0
        while True:
            connection = self._reuse_idle() or await self._wait_for_connection(deadline)
            fresh = connection.requests == 0
            try:
                answer = await connection.send(parts, self._limit)
            except _ConnectionLost as lost:
                # An idle connection may have been closed in the meantime; that is not a failure of a server.
                dropped += fresh
                if dropped >= _TRIES:
                    raise NoServerError(f"servers dropped the request {_TRIES} times: {lost}") from lost
                continue
            except TimeoutError:
                raise NoServerError(f"no response within {self._limit:g} s") from None
            if connection.pieces is not None:
                events = self._events(connection, connection.pieces)
                return ServerResponse(answer.status, answer.headers, b"", events)
            if connection.reusable:
                self._idle.append(connection)
            else:
                connection.close()
            return answer

    async def _events(self, connection: _ServerConnection, pieces: Pieces) -> AsyncIterator[bytes]:
        """The events as they come. Raises NoServerError when they break off.

        A client that leaves closes the connection, so that the server computes no more for it.
        """
        try:
            while piece := await pieces.next(self._limit):
                yield piece
        except _ConnectionLost as lost:
            raise NoServerError(f"the server ended in the middle of its answer: {lost}") from lost
        except TimeoutError:
            raise NoServerError(f"the server sent nothing for {self._limit:g} s") from None
        finally:
            connection.close()

    def _reuse_idle(self) -> _ServerConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
            connection.close()
        return None

    async def _wait_for_connection(self, deadline: float) -> _ServerConnection:
        if not self._absent:
            if connection := await self._try_connect():
                return connection
            self._absent = True
        self.waited += 1
        # One waiting request tries to connect for all of them.
        while time.monotonic() < deadline:
            try:
                async with asyncio.timeout_at(self._loop_time(deadline)), self._connect_lock:
                    if connection := await self._try_connect():
                        self._absent = False
                        return connection
                    self._absent = True
                    await asyncio.sleep(_RETRY_INTERVAL)
            except TimeoutError:
                break
        raise NoServerError(f"no server was ready within {self._patience:g} s")

    @staticmethod
    def _loop_time(deadline: float) -> float:
        return asyncio.get_running_loop().time() + deadline - time.monotonic()

    async def _try_connect(self) -> _ServerConnection | None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_LIMIT):
                _, connection = await loop.create_connection(_ServerConnection, self._host, self._port, ssl=self._tls)
        except (OSError, TimeoutError):  # a certificate that is not trusted is an OSError too
            return None
        return connection
