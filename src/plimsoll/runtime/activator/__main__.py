"""`python -m plimsoll.runtime.activator --to HOST:PORT`: serves until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import sys
import time

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.runtime.activator.forwarding import Forwarder
from plimsoll.runtime.activator.load import LoadAverage
from plimsoll.runtime.activator.servers import ServerPool
from plimsoll.runtime.server.__main__ import listener_at
from plimsoll.runtime.server.connection import Connection
from plimsoll.runtime.server.listening import Listening

_BACKLOG = 2048


def main() -> None:
    """Exit 0 after a drained shutdown, 1 with a one-line reason when the activator cannot start."""
    arguments = _parser().parse_args()
    try:
        host, port = _parse_address(arguments.to)
        listener = listener_at(arguments.host, arguments.port)
    except PlimsollError as error:
        sys.stderr.write(f"error: {error.on_one_line()}\n")
        sys.exit(1)
    import uvloop

    uvloop.run(_serve(arguments, host, port, listener))


async def _serve(arguments: argparse.Namespace, host: str, port: int, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    servers = ServerPool(host, port, patience=arguments.patience, limit=arguments.seconds)
    load = LoadAverage(time.monotonic)
    forwarding = Forwarder(servers, load, largest_body=arguments.largest_body, most=arguments.most)
    listening = Listening(forwarding)
    listening.loop = loop
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    server = await loop.create_server(lambda: Connection(listening), sock=listener, backlog=_BACKLOG)
    print(f"port {listener.getsockname()[1]} forwards requests to {host}:{port}", flush=True)
    checks = loop.create_task(_check_connections(listening))
    await stopping.wait()
    server.close()
    await listening.drain(arguments.drain)
    checks.cancel()


async def _check_connections(listening: Listening) -> None:
    while True:
        await asyncio.sleep(1.0)
        listening.check_time_limits()


def _parse_address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise TargetError(f"'{text}' is not an address", where="--to", hint="use HOST:PORT")
    return host, int(port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m plimsoll.runtime.activator", description=__doc__)
    parser.add_argument("--to", required=True, help="HOST:PORT of the servers")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 means a free port")
    parser.add_argument("--patience", type=float, default=120.0, help="seconds to wait for a server; then 503")
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds to wait for a response; then 503")
    parser.add_argument("--drain", type=float, default=10.0, help="seconds for running requests at shutdown")
    parser.add_argument("--largest-body", type=int, default=64 << 20, help="largest request body in bytes")
    parser.add_argument("--most", type=int, default=256 << 20, help="bytes of request bodies that may wait; then 503")
    return parser


if __name__ == "__main__":
    main()
