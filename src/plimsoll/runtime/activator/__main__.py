"""`python -m plimsoll.runtime.activator --to HOST:PORT`: serves until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import socket
import sys
import time

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.runtime.activator.forwarding import Forwarder
from plimsoll.runtime.activator.listening import add_arguments, listen
from plimsoll.runtime.activator.load import LoadAverage
from plimsoll.runtime.activator.servers import ServerPool
from plimsoll.runtime.server.__main__ import listener_at


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
    servers = ServerPool(host, port, patience=arguments.patience, limit=arguments.seconds)
    load = LoadAverage(time.monotonic)
    forwarding = Forwarder(servers, load, largest_body=arguments.largest_body, most=arguments.most)
    leads = f"forwards requests to {host}:{port}"
    await listen(forwarding, listener, drain=arguments.drain, leads=leads)


def _parse_address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise TargetError(f"'{text}' is not an address", where="--to", hint="use HOST:PORT")
    return host, int(port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m plimsoll.runtime.activator", description=__doc__)
    parser.add_argument("--to", required=True, help="HOST:PORT of the servers")
    parser.add_argument("--patience", type=float, default=120.0, help="seconds to wait for a server; then 503")
    add_arguments(parser)
    return parser


if __name__ == "__main__":
    main()
