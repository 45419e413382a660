"""Requests to servers behind one address, and patience while there is none.

HTTP/1.1, one request at a time on a connection (RFC 9112); llhttp (through httptools) reads the answers.
"""

from __future__ import annotations

import asyncio
import time
from typing import cast

import httptools
from msgspec import Struct

_CONNECT_LIMIT = 1.0
_PAUSE = 0.1
_TRIES = 3
"""An inference asked twice is answered twice alike: what a server has let fall is asked again."""
_MOST_REQUESTS, _LONGEST = 256, 5.0
"""Requests and seconds for which a connection is kept: balancers choose a server by connection, and new servers are to
get their part soon."""


class Answer(Struct, gc=False):
    """What a server has answered; names of headers are in small letters."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class NoServer(Exception):
    """Nobody has answered, with the reason in words."""


class _Gone(Exception):
    """The connection has ended before the answer came."""


class _Connection(asyncio.Protocol):
    """One connection to a server."""

    def __init__(self) -> None:
        self.made = time.monotonic()
        self.asked = 0
        self._answer: asyncio.Future[Answer] | None = None
        self._usable = True
        self._body: list[bytes] = []
        self._headers: list[tuple[bytes, bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The server has accepted."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """A part of an answer has come."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, AttributeError) as error:
            self._end(_Gone(f"a server answers something other than HTTP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The server has gone, or has ended the connection."""
        self._end(_Gone(str(exc or "the server has ended the connection")))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of llhttp."""
        self._headers.append((name.lower(), value))

    def on_body(self, part: bytes) -> None:
        """Of llhttp."""
        self._body.append(part)

    def on_message_complete(self) -> None:
        """Of llhttp: the answer is whole, unless it was one that another follows."""
        status = self._parser.get_status_code()
        if status < 200:
            self._headers, self._body = [], []
            return
        self._usable = self._usable and self._parser.should_keep_alive()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(status, self._headers, b"".join(self._body)))

    async def ask(self, parts: list[bytes | memoryview], limit: float) -> Answer:
        """The answer to a request. Raises _Gone, and TimeoutError after `limit` seconds."""
        self.asked += 1
        self._headers, self._body = [], []
        self._parser = httptools.HttpResponseParser(self)
        self._answer = asyncio.get_running_loop().create_future()
        if not self._usable:
            raise _Gone("the server has ended the connection")
        self._transport.writelines(parts)
        try:
            async with asyncio.timeout(limit):
                return await self._answer
        except BaseException:
            # What comes later would be taken for the next request's answer.
            self.close()
            raise

    @property
    def reusable(self) -> bool:
        """Whether another request may go this way."""
        return self._usable and self.asked < _MOST_REQUESTS and time.monotonic() - self.made < _LONGEST

    def close(self) -> None:
        """No more is asked here."""
        self._usable = False
        self._transport.close()

    def _end(self, error: _Gone) -> None:
        self._usable = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


class Servers:
    """The servers behind an address, of which there may be none for a while.

    `patience` is how many seconds one is waited for, `limit` how many for an answer.
    """

    def __init__(self, host: str, port: int, *, patience: float, limit: float) -> None:
        self._host, self._port = host, port
        self._patience, self._limit = patience, limit
        self._idle: list[_Connection] = []
        self._absent = False
        self._looking = asyncio.Lock()
        self.waited = 0
        """Requests that found no server."""

    async def ask(self, parts: list[bytes | memoryview]) -> Answer:
        """The answer to a request. Raises NoServer when none comes."""
        deadline = time.monotonic() + self._patience
        fallen = 0
        while True:
            connection = self._kept() or await self._connected(deadline)
            fresh = connection.asked == 0
            try:
                answer = await connection.ask(parts, self._limit)
            except _Gone as gone:
                # A kept connection may have ended while nobody looked: that is no server's failure.
                fallen += fresh
                if fallen >= _TRIES:
                    raise NoServer(f"{_TRIES} servers have let the request fall: {gone}") from gone
                continue
            except TimeoutError:
                raise NoServer(f"no answer within {self._limit:g} s") from None
            if connection.reusable:
                self._idle.append(connection)
            else:
                connection.close()
            return answer

    def _kept(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
            connection.close()
        return None

    async def _connected(self, deadline: float) -> _Connection:
        if not self._absent:
            if connection := await self._tried():
                return connection
            self._absent = True
        self.waited += 1
        # One looks for all that wait.
        while time.monotonic() < deadline:
            try:
                async with asyncio.timeout_at(self._loop_time(deadline)), self._looking:
                    if connection := await self._tried():
                        self._absent = False
                        return connection
                    self._absent = True
                    await asyncio.sleep(_PAUSE)
            except TimeoutError:
                break
        raise NoServer(f"no server was ready within {self._patience:g} s")

    @staticmethod
    def _loop_time(deadline: float) -> float:
        return asyncio.get_running_loop().time() + deadline - time.monotonic()

    async def _tried(self) -> _Connection | None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_LIMIT):
                _, connection = await loop.create_connection(_Connection, self._host, self._port)
        except (OSError, TimeoutError):
            return None
        return connection
