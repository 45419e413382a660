"""Opens encrypted connections: accepts them, agrees on the encryption, and says why one is refused.

The handshake is that of the event loop. Accepting is ours, so that each connection is opened with the newest
certificate, a failure is told in the log with the client's address, and the client gets the alert that says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
import time
from collections.abc import Callable
from typing import Protocol

from plimsoll.runtime.server.tls.contexts import ServerTls

SECONDS = 10.0
"""For a handshake."""
CLOSING = 2.0
"""Seconds that a client has to take note of the end of a connection."""
MOST = 256
"""Handshakes at once; of more, the one that has taken longest is ended, so that many slow clients keep no other out."""
PAUSE = 0.1
"""Seconds until the next try when a connection cannot be accepted, as there are too many open files."""
UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})
"""OpenSSL's numbers for a chain that leads to none of the authorities that are trusted."""
REFUSED = 401
Told = Callable[[str, str], None]
"""Gets why a connection was refused, and the client's address."""


class Opened(Protocol):
    """Gets each connection as a socket's protocol, with the number of the authorities that its client is known by."""

    def __call__(self, trusted: int) -> asyncio.BaseProtocol:
        """The protocol of one more connection."""


class Opening:
    """The connections of one listener."""

    def __init__(self, tls: ServerTls, make: Opened, told: Told) -> None:
        self._tls = tls
        self._make = make
        self._told = told
        self._under_way: dict[asyncio.Task[None], None] = {}
        self._accepting: asyncio.Task[None] | None = None
        self._said = 0.0
        self._unsaid = 0

    def start(self, listener: socket.socket, backlog: int) -> None:
        """Accept connections until `close`."""
        listener.listen(backlog)
        listener.setblocking(False)
        self._accepting = asyncio.get_running_loop().create_task(self._accept(listener))

    def close(self) -> None:
        """Accept no more connections."""
        if self._accepting is not None:
            self._accepting.cancel()
        for task in list(self._under_way):
            task.cancel()

    def open(self, connection: socket.socket, address: str) -> None:
        """Open an accepted connection; returns at once."""
        if len(self._under_way) >= MOST:
            next(iter(self._under_way)).cancel()
        connection.setblocking(False)
        try:
            # The event loop closes its own when the handshake fails, before the client could be told.
            spare = connection.dup()
        except OSError:
            connection.close()
            return
        task = asyncio.get_running_loop().create_task(self._open(connection, spare, address))
        self._under_way[task] = None
        task.add_done_callback(lambda done: self._under_way.pop(done, None))

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listener)
            except OSError as problem:
                self._say(f"a connection cannot be accepted: {problem.strerror}")
                await asyncio.sleep(PAUSE)
                continue
            self.open(connection, address[0] if isinstance(address, tuple) else "")

    async def _open(self, connection: socket.socket, spare: socket.socket, address: str) -> None:
        loop, trusted = asyncio.get_running_loop(), self._tls.trusted
        with contextlib.closing(spare):
            try:
                await loop.connect_accepted_socket(
                    lambda: self._make(trusted),
                    connection,
                    ssl=self._tls.context,
                    ssl_handshake_timeout=SECONDS,
                    ssl_shutdown_timeout=CLOSING,
                )
            except ssl.SSLError as problem:
                reason = why(problem)
                self._say(f"a connection of {address or 'a client'} is refused: {reason}")
                self._told(reason, address)
                await _tell(spare, getattr(problem, "alert", b""))
            except ConnectionAbortedError:
                who = address or "a client"
                self._say(f"a connection of {who} is closed: it takes longer than {SECONDS:g} s to open")
            except OSError:
                # It has gone, as what looks whether a port is open does.
                return

    def _say(self, line: str) -> None:
        """Write a line to the log, at most one in a second: strangers cause them."""
        now = time.monotonic()
        if now - self._said < 1.0:
            self._unsaid += 1
            return
        more = f" (and {self._unsaid} more like it since the last line)" if self._unsaid else ""
        self._said, self._unsaid = now, 0
        sys.stderr.write(f"{line}{more}\n")


def why(problem: ssl.SSLError) -> str:
    """Why a handshake failed, as a sentence for the log."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        if problem.verify_code in UNKNOWN_AUTHORITY:
            return "its certificate is of no authority in clients"
        return f"its certificate is not good: {problem.verify_message}"
    reason = problem.reason or ""
    if reason in {"HTTP_REQUEST", "WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL"}:
        return "it speaks no TLS: the address begins with https://"
    if "ALERT" in reason:
        said = reason.rpartition("ALERT_")[2].lower().replace("_", " ")
        return f"the client does not go on: {said}"
    return reason.lower().replace("_", " ") or "the handshake failed"


async def _tell(spare: socket.socket, alert: bytes) -> None:
    """Send the alert, and read what the client has sent on: closing with unread bytes would discard it."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(CLOSING):
            await loop.sock_sendall(spare, alert)
            spare.shutdown(socket.SHUT_WR)
            while await loop.sock_recv(spare, 4096):
                pass
