"""`python -m plimsoll.runtime.activator --to HOST:PORT`: answers until it is told to end."""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import sys
import time

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.runtime.activator.forwarding import Forwarding
from plimsoll.runtime.activator.load import Load
from plimsoll.runtime.activator.servers import Servers
from plimsoll.runtime.server.__main__ import listener_at
from plimsoll.runtime.server.connection import Connection
from plimsoll.runtime.server.listening import Listening

_BACKLOG = 2048


def main() -> None:
    """Exit 0 after a drained shutdown, 1 with one line of reason when it cannot start."""
    arguments = _parser().parse_args()
    try:
        host, port = _address(arguments.to)
        listener = listener_at(arguments.host, arguments.port)
    except PlimsollError as error:
        sys.stderr.write(f"error: {error.on_one_line()}\n")
        sys.exit(1)
    import uvloop

    uvloop.run(_answer(arguments, host, port, listener))


async def _answer(arguments: argparse.Namespace, host: str, port: int, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    servers = Servers(host, port, patience=arguments.patience, limit=arguments.seconds)
    load = Load(time.monotonic)
    forwarding = Forwarding(servers, load, largest_body=arguments.largest_body, most=arguments.most)
    listening = Listening(forwarding)
    listening.loop = loop
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    server = await loop.create_server(lambda: Connection(listening), sock=listener, backlog=_BACKLOG)
    print(f"requests to {host}:{port} by way of port {listener.getsockname()[1]}", flush=True)
    checking = loop.create_task(_check_time_limits(listening))
    await told.wait()
    server.close()
    await listening.drain(arguments.drain)
    checking.cancel()


async def _check_time_limits(listening: Listening) -> None:
    while True:
        await asyncio.sleep(1.0)
        listening.check_time_limits()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise TargetError(f"'{text}' is no address", where="--to", hint="say HOST:PORT")
    return host, int(port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m plimsoll.runtime.activator", description=__doc__)
    parser.add_argument("--to", required=True, help="HOST:PORT of the servers")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--patience", type=float, default=120.0, help="seconds that a server is waited for; then 503")
    parser.add_argument("--seconds", type=float, default=60.0, help="for an answer of a server; then 503")
    parser.add_argument("--drain", type=float, default=10.0, help="seconds for requests under way at the end")
    parser.add_argument("--largest-body", type=int, default=64 << 20, help="bytes of a request")
    parser.add_argument("--most", type=int, default=256 << 20, help="bytes of requests that may wait; then 503")
    return parser


if __name__ == "__main__":
    main()
