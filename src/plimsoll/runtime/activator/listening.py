"""What processes that hand requests on share: the words of their command line, and to listen until they are ended."""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
from collections.abc import Coroutine, Sequence

from plimsoll.runtime.server.connection import Connection
from plimsoll.runtime.server.listening import Answering, Listening

_BACKLOG = 2048


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to listen, and the bounds of a request."""
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 means a free port")
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds to wait for a response; then 503")
    parser.add_argument("--drain", type=float, default=10.0, help="seconds for running requests at shutdown")
    parser.add_argument("--largest-body", type=int, default=64 << 20, help="largest request body in bytes")
    parser.add_argument("--most", type=int, default=256 << 20, help="bytes of request bodies that may wait; then 503")


async def listen(
    front: Answering,
    listener: socket.socket,
    *,
    drain: float,
    leads: str,
    beside: Sequence[Coroutine[None, None, None]] = (),
) -> None:
    """Answer until SIGTERM or SIGINT, then drain for so many seconds. `leads` ends the line that says where it leads.

    `beside` runs meanwhile and does not end by itself: what does has failed, and its error is raised.
    """
    loop = asyncio.get_running_loop()
    listening = Listening(front)
    listening.loop = loop
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    server = await loop.create_server(lambda: Connection(listening), sock=listener, backlog=_BACKLOG)
    print(f"port {listener.getsockname()[1]} {leads}", flush=True)
    background = [loop.create_task(_check_connections(listening)), *map(loop.create_task, beside)]
    waiting = loop.create_task(stopping.wait())
    await asyncio.wait([*background, waiting], return_when=asyncio.FIRST_COMPLETED)
    server.close()
    await listening.drain(drain)
    for task in background:
        if task.done():
            task.result()
        task.cancel()


async def _check_connections(listening: Listening) -> None:
    while True:
        await asyncio.sleep(1.0)
        listening.check_time_limits()
