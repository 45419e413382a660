"""`python -m lab node`: adds and removes nodes, and makes them fail."""

from __future__ import annotations

import click

from lab import lifecycle, nodes
from lab.cli.say import say
from lab.errors import LabError
from lab.network import delay, netns
from lab.network.link import read_delay


@click.group()
def node() -> None:
    """Add, remove, cut, slow, kill and revive nodes."""


@node.command()
@click.option("--group", type=click.Choice(["plain", "accelerated"]), default="plain", show_default=True)
def add(group: str) -> None:
    """Add a node, wait until it is Ready, and print its name."""
    lifecycle.require_running()
    click.echo(lifecycle.add_node(group, say).name)


@node.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove a node and its disk."""
    nodes.remove(nodes.named(name))


@node.command()
@click.argument("name")
def cut(name: str) -> None:
    """Disconnect a node from the network. Its processes keep running."""
    netns.cut(nodes.named(name))


@node.command()
@click.argument("name")
def mend(name: str) -> None:
    """Reconnect a node to the network, and end its delay."""
    found = nodes.named(name)
    netns.mend(found)
    delay.set_delay(found, 0)


@node.command()
@click.argument("name")
def kill(name: str) -> None:
    """Kill everything on a node at once, like a power failure."""
    nodes.kill(nodes.named(name))


@node.command()
@click.argument("name")
def revive(name: str) -> None:
    """Start a killed node again with its disk."""
    found = nodes.named(name)
    nodes.start(found)
    nodes.wait_ready([found])


@node.command()
@click.argument("name")
@click.option(
    "--delay", "each_way", required=True, metavar="20ms", help="Delay of each packet in each direction; 0ms ends it."
)
@click.option("--beyond-rack", is_flag=True, help="Delay only packets to and from nodes in other racks.")
def slow(name: str, each_way: str, beyond_rack: bool) -> None:
    """Delay the packets of a node."""
    milliseconds = read_delay(each_way)
    found = nodes.named(name)
    away = [each for each in nodes.all_nodes() if each.rack != found.rack] if beyond_rack else None
    if away == []:
        raise LabError(f"all nodes are in the rack of {name}, {found.rack}; 'python -m lab node add' adds a node")
    delay.set_delay(found, milliseconds, away)
