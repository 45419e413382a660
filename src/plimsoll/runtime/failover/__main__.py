"""`python -m plimsoll.runtime.failover --own URL --standby URL --route NAME …`: serves until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import time

from plimsoll.errors import PlimsollError
from plimsoll.runtime.activator.forwarding import Below
from plimsoll.runtime.activator.listening import add_arguments, listen
from plimsoll.runtime.activator.load import LoadAverage
from plimsoll.runtime.activator.servers import ServerPool
from plimsoll.runtime.failover.front import Front
from plimsoll.runtime.failover.judging import Judge, Sides
from plimsoll.runtime.failover.looking import Side, side_at, why_not_ready
from plimsoll.runtime.failover.moving import Mover
from plimsoll.runtime.failover.route import Route
from plimsoll.runtime.server.__main__ import listener_at
from plimsoll.runtime.server.identities.cluster_api import ClusterApi
from plimsoll.runtime.server.identities.cluster_settings import PLACE, ClusterSettings

_PATIENCE = 2.0
"""Seconds for a connection to the standby."""


def main() -> None:
    """Exit 0 after a drained shutdown, 1 with a one-line reason when it cannot start."""
    arguments = _parser().parse_args()
    try:
        own, standby = side_at(arguments.own, "--own"), side_at(arguments.standby, "--standby")
        settings = ClusterSettings(
            namespace=arguments.namespace, roles={}, server=arguments.api, place=arguments.credentials
        )
        route = Route(ClusterApi(settings), arguments.namespace, arguments.route, arguments.front)
        listener = listener_at(arguments.host, arguments.port)
    except PlimsollError as error:
        sys.stderr.write(f"error: {error.on_one_line()}\n")
        sys.exit(1)
    import uvloop

    uvloop.run(_serve(arguments, own, standby, route, listener))


async def _serve(
    arguments: argparse.Namespace, own: Side, standby: Side, route: Route, listener: socket.socket
) -> None:
    async def look() -> Sides:
        found = await asyncio.gather(why_not_ready(own), why_not_ready(standby))
        return Sides(own=found[0], standby=found[1])

    mover = Mover(Judge(arguments.after, arguments.back), route, look)
    servers = ServerPool(standby.host, standby.port, patience=_PATIENCE, limit=arguments.seconds, tls=standby.tls)
    front = Front(
        servers,
        LoadAverage(time.monotonic),
        mover,
        largest_body=arguments.largest_body,
        most=arguments.most,
        below=Below(standby.authority, standby.path),
    )
    leads = f"leads to {arguments.to} at {arguments.standby}"
    # The mover does not end by itself: when it does it has failed, and the pod starts anew.
    await listen(front, listener, drain=arguments.drain, leads=leads, beside=[mover.run()])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m plimsoll.runtime.failover", description=__doc__)
    parser.add_argument("--own", required=True, help="address of the service's own servers")
    parser.add_argument("--standby", required=True, help="address of the standby, as pods here reach it")
    parser.add_argument("--to", required=True, help="what the file calls the standby's target")
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--route", required=True, help="HTTPRoute of the service")
    parser.add_argument("--front", required=True, help="backend of the route that is this process")
    parser.add_argument("--after", type=float, default=5.0, help="seconds before requests leave own servers")
    parser.add_argument("--back", type=float, default=60.0, help="seconds before requests come back to them")
    parser.add_argument("--api", default="", help="address of the API server; that of the pod's cluster when empty")
    parser.add_argument("--credentials", default=PLACE, help="directory with the token and the authority")
    add_arguments(parser)
    return parser


if __name__ == "__main__":
    main()
