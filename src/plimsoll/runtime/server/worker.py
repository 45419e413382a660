"""One process that answers requests: its event loop, its signals, and its reports to a supervisor if it has one."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

import msgspec

from plimsoll.errors import MissingExtra, PlimsollError
from plimsoll.runtime.server.administration import Administration
from plimsoll.runtime.server.catalog import Catalog
from plimsoll.runtime.server.connection import Connection
from plimsoll.runtime.server.counts import Counts
from plimsoll.runtime.server.data_plane import DataPlane, Limits
from plimsoll.runtime.server.descriptors import connections_that_fit
from plimsoll.runtime.server.fronts.table import mount
from plimsoll.runtime.server.hosts import KnownHosts
from plimsoll.runtime.server.identities.gate import gate_of
from plimsoll.runtime.server.listening import Listening
from plimsoll.runtime.server.observers import Observers, observer_from
from plimsoll.runtime.server.options import Options, Patience
from plimsoll.runtime.server.reporting import Reporting, counts_of_process

if TYPE_CHECKING:
    from plimsoll.runtime.server.fronts.open_inference_grpc.server import GrpcServer
    from plimsoll.runtime.server.tls.contexts import ServerTls
    from plimsoll.runtime.server.tls.opening import Opening

BACKLOG = 2048
"""Connections that the kernel holds until they are accepted."""
SWITCH = 0.001
"""Seconds after which a thread gives the interpreter to another one that waits; five times as long by default."""


class Worker:
    """Loads the models, then answers until SIGTERM or SIGINT."""

    def __init__(self, options: Options, unloaded: Collection[str] = ()) -> None:
        """`unloaded` are models that stay unloaded until a client loads them. Raises PlimsollError."""
        self.options = options
        catalog = Catalog(options.source, threads=options.threads, changes=options.changes)
        catalog.unloaded.update(unloaded)
        observers = Observers([observer_from(written) for written in options.observers])
        limits = Limits(body=options.largest_body, memory=options.memory, queue=options.queue, seconds=options.seconds)
        administration = Administration(options.admin_token_file)
        self.tls = _tls(options)
        gate = gate_of(options.auth, options.admin_token_file, self.tls)
        self.plane = DataPlane(catalog, observers, limits, administration, gate)
        hosts = KnownHosts(options.host, options.allowed_hosts, options.only_hosts)
        self.listening = Listening(mount(self.plane, hosts), options.patience)
        catalog.load_first()
        self.listening.patience = self._fitting(options.patience)

    def _fitting(self, patience: Patience) -> Patience:
        """As many connections as the limit of open files allows."""
        asked = sum(each.most_connections for each in self.plane.catalog.all())
        fitting = connections_that_fit(patience.connections, asked)
        if fitting < patience.connections:
            sys.stderr.write(f"the limit of open files allows {fitting} connections, not {patience.connections}\n")
        return msgspec.structs.replace(patience, connections=fitting)

    def run(
        self,
        listener: socket.socket,
        *,
        ready: Callable[[int | None], None],
        channel: socket.socket | None = None,
        inherited: Sequence[socket.socket] = (),
    ) -> None:
        """Answer until SIGTERM or SIGINT, then drain. `inherited` are connections that the supervisor has accepted.

        `ready` is called when requests can be answered, with the port of gRPC if there is one.
        """
        import uvloop

        # Loaded modules and models stay in memory: the collector need not visit them again. Requests make no cycles, so
        # that it need not run after every few of them either.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)
        # What is read, written and explained in threads gives way to the event loop after so long.
        sys.setswitchinterval(SWITCH)
        try:
            uvloop.run(self._answer(listener, ready, channel, inherited))
        finally:
            self.plane.catalog.close()
        self.plane.observers.close()

    async def _answer(
        self,
        listener: socket.socket,
        ready: Callable[[int | None], None],
        channel: socket.socket | None,
        inherited: Sequence[socket.socket],
    ) -> None:
        loop = asyncio.get_running_loop()
        self.listening.loop = loop
        ending = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ending.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: self.listening.run_task(self._refresh()))
        reporting = await Reporting.start(channel, self.plane, self.listening, ending) if channel else None
        if reporting is None:
            self.plane.counts_of_all = self._counts
        grpc = await self._grpc()
        server = await self._listen(listener, inherited)
        self.plane.catalog.attach()
        ready(grpc.port if grpc else None)
        keeping = [loop.create_task(self._check_time_limits())]
        keeping += [loop.create_task(each.keep()) for each in (self.plane.gate, self.tls) if each is not None]
        await ending.wait()
        self.plane.ready = False
        server.close()
        if grpc:
            await grpc.stop(self.options.drain)
        await self.listening.drain(self.options.drain)
        for task in keeping:
            task.cancel()
        if reporting:
            await reporting.finish()

    async def _listen(
        self, listener: socket.socket, inherited: Sequence[socket.socket]
    ) -> asyncio.AbstractServer | Opening:
        """Take connections, and those that are there already."""
        loop = asyncio.get_running_loop()
        if self.tls is not None:
            from plimsoll.runtime.server.tls.opening import REFUSED, Opening

            opening = Opening(
                self.tls,
                lambda trusted: Connection(self.listening, trusted),
                lambda reason, client: self.listening.application.unread(None, REFUSED, reason, client),
            )
            opening.start(listener, BACKLOG)
            for connection in inherited:
                opening.open(connection, "")
            return opening
        server = await loop.create_server(lambda: Connection(self.listening), sock=listener, backlog=BACKLOG)
        for connection in inherited:
            await loop.connect_accepted_socket(lambda: Connection(self.listening), connection)
        return server

    async def _grpc(self) -> GrpcServer | None:
        if self.options.grpc_port is None:
            return None
        try:
            from plimsoll.runtime.server.fronts.open_inference_grpc.server import GrpcServer
        except ImportError:
            raise MissingExtra("grpc", "answering gRPC") from None
        return await GrpcServer.start(self.plane, self.options.host, self.options.grpc_port, self.tls)

    async def _check_time_limits(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self.listening.check_time_limits()

    async def _refresh(self) -> None:
        try:
            await self.plane.catalog.refresh()
        except PlimsollError as error:
            # The loaded models are still good, and their clients know nothing of the file.
            sys.stderr.write(f"the service file cannot be used, the loaded models stay: {error.on_one_line()}\n")

    async def _counts(self) -> Counts:
        return counts_of_process(self.plane, self.listening)


def _tls(options: Options) -> ServerTls | None:
    """What connections are opened with; `None` for a server whose connections are plain. Raises TargetError."""
    if options.tls is None:
        return None
    from plimsoll.runtime.server.tls.contexts import ServerTls

    return ServerTls(options.tls)
