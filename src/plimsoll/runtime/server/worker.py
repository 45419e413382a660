"""One process that answers: its event loop, its signals, and what it tells a supervisor if it has one."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from plimsoll.errors import MissingExtra, PlimsollError
from plimsoll.runtime.server.application import Application, Limits
from plimsoll.runtime.server.catalog import Catalog
from plimsoll.runtime.server.connection import Connection
from plimsoll.runtime.server.listening import Listening
from plimsoll.runtime.server.observers import Observers, observer_from
from plimsoll.runtime.server.options import Options
from plimsoll.runtime.server.reporting import Reporting, counted

if TYPE_CHECKING:
    from plimsoll.runtime.server.grpc_server import GrpcServer

BACKLOG = 2048
"""Connections that the kernel holds until they are accepted."""


class Worker:
    """Loads the models, then answers until it is told to end."""

    def __init__(self, options: Options, unloaded: Collection[str] = ()) -> None:
        """`unloaded` are models to leave out until they are told to come. Raises PlimsollError."""
        self.options = options
        catalog = Catalog(options.source, threads=options.threads)
        catalog.unloaded.update(unloaded)
        catalog.load_first()
        observers = Observers([observer_from(written) for written in options.observers])
        limits = Limits(body=options.largest_body, queue=options.queue, seconds=options.seconds)
        self.application = Application(catalog, observers, limits)
        self.listening = Listening(self.application, options.patience)

    def run(
        self,
        listener: socket.socket,
        *,
        ready: Callable[[int | None], None],
        channel: socket.socket | None = None,
        inherited: Sequence[socket.socket] = (),
    ) -> None:
        """Answer until SIGTERM or SIGINT, then drain. `inherited` are connections that were accepted before.

        `ready` is called when answers can come, with the port of gRPC if there is one.
        """
        import uvloop

        # What has been loaded stays: the collector need not look at it again, nor after every few requests at those
        # whose objects hold no cycles and are freed by themselves.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)
        uvloop.run(self._answer(listener, ready, channel, inherited))
        self.application.observers.close()

    async def _answer(
        self,
        listener: socket.socket,
        ready: Callable[[int | None], None],
        channel: socket.socket | None,
        inherited: Sequence[socket.socket],
    ) -> None:
        loop = asyncio.get_running_loop()
        self.listening.loop = loop
        told = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: self.listening.later(self._refresh()))
        reporting = await Reporting.over(channel, self.application, self.listening, told) if channel else None
        if reporting is None:
            self.application.page = self._page
        grpc = await self._grpc()
        server = await loop.create_server(lambda: Connection(self.listening), sock=listener, backlog=BACKLOG)
        for connection in inherited:
            await loop.connect_accepted_socket(lambda: Connection(self.listening), connection)
        ready(grpc.port if grpc else None)
        looking = loop.create_task(self._look())
        await told.wait()
        self.application.ready = False
        server.close()
        if grpc:
            await grpc.stop(self.options.drain)
        await self.listening.drain(self.options.drain)
        looking.cancel()
        if reporting:
            await reporting.last()

    async def _grpc(self) -> GrpcServer | None:
        if self.options.grpc_port is None:
            return None
        try:
            from plimsoll.runtime.server.grpc_server import GrpcServer
        except ImportError:
            raise MissingExtra("grpc", "answering gRPC") from None
        return await GrpcServer.start(self.application, self.options.host, self.options.grpc_port)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self.listening.look()

    async def _refresh(self) -> None:
        try:
            await self.application.catalog.refresh()
        except PlimsollError as error:
            # What is served well goes on being served.
            sys.stderr.write(f"the service file is left unread: {error.on_one_line()}\n")

    async def _page(self) -> bytes:
        from plimsoll.runtime.server.metrics import page

        return page(counted(self.application, self.listening))
