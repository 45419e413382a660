"""Starts the server of the page, on 127.0.0.1 unless its callers are known, and ends it in good order."""

from __future__ import annotations

import contextlib
import secrets
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import uvicorn
from msgspec import Struct

from plimsoll.errors import TargetError
from plimsoll.ui.login import Login
from plimsoll.ui.places import directories
from plimsoll.ui.rooms import Rooms
from plimsoll.ui.web import application

HOST = "127.0.0.1"
CLOSE_SECONDS = 2
"""Seconds that answers under way have when the server ends."""


class Front(Struct, frozen=True, kw_only=True):
    """Where the server is, and for whom: whoever has the address that it prints, or people with `tokens` of a file.

    `names` are more that it goes by. With a `certificate` and its `key` it is reached by https.
    """

    host: str = HOST
    port: int = 0
    tokens: Path | None = None
    names: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None


class _Server(uvicorn.Server):
    """Ends the streams of open pages first: they would never end by themselves."""

    def __init__(self, config: uvicorn.Config, rooms: Rooms) -> None:
        super().__init__(config)
        self._rooms = rooms

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let Ctrl-C and SIGTERM end the server, and nothing else: what is under way is put back afterwards."""
        before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._rooms.hub.close()
        await super().shutdown(sockets)


def serve(
    given: Sequence[Path], *, contexts: Sequence[str] = (), front: Front | None = None, ready: Callable[[str], None]
) -> None:
    """Serve the applications of these directories until Ctrl-C or SIGTERM.

    `ready` gets the address, with its token where people have none of their own. Raises FileError for a directory
    without an application, TargetError when the port is taken, and for a file of tokens that cannot be used.
    """
    front = front or Front()
    known = directories(given)
    listener = _listener(front.host, front.port)
    rooms = Rooms(known, contexts)
    try:
        own_port = listener.getsockname()[1]
        encrypted = front.certificate is not None
        login = None
        if front.tokens is not None:
            login = Login(front.tokens, front.host, own_port, front.names, secure=encrypted)
        token = secrets.token_urlsafe(32) if login is None else ""
        config = uvicorn.Config(
            application(rooms, token=token, port=own_port, login=login),
            ssl_certfile=front.certificate,
            ssl_keyfile=front.key,
            log_level="critical",
            access_log=False,
            lifespan="on",
            server_header=False,
            timeout_graceful_shutdown=CLOSE_SECONDS,
            http="h11",
            loop="asyncio",
        )
        host = f"[{front.host}]" if ":" in front.host else front.host
        ready(f"{'https' if encrypted else 'http'}://{host}:{own_port}/{f'#token={token}' if token else ''}")
        _Server(config, rooms).run(sockets=[listener])
    finally:
        listener.close()
        rooms.close()


def _listener(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise TargetError(
            f"the port cannot be used: {error.strerror}",
            where=f"{host}:{port}",
            hint="name another with --port, or leave it out",
        ) from error
    listener.listen(128)
    return listener
