"""`python -m lab node`: what happens to nodes."""

from __future__ import annotations

import click

from lab import lifecycle, nodes
from lab.cli.say import say
from lab.errors import LabError
from lab.network import delay, netns


@click.group()
def node() -> None:
    """Add, remove, cut, slow, kill and revive nodes."""


@node.command()
@click.option("--group", type=click.Choice(["plain", "accelerated"]), default="plain", show_default=True)
def add(group: str) -> None:
    """Add a node and wait until it is Ready; its name is printed."""
    lifecycle.require_running()
    click.echo(lifecycle.add_node(group, say).name)


@node.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove a node with its disk."""
    nodes.remove(nodes.named(name))


@node.command()
@click.argument("name")
def cut(name: str) -> None:
    """Take a node off the network; what runs on it goes on."""
    netns.cut(nodes.named(name))


@node.command()
@click.argument("name")
def mend(name: str) -> None:
    """Put a node back on the network, at full speed."""
    found = nodes.named(name)
    netns.mend(found)
    delay.set_delay(found, 0)


@node.command()
@click.argument("name")
def kill(name: str) -> None:
    """End everything on a node at once, as when its power fails."""
    nodes.kill(nodes.named(name))


@node.command()
@click.argument("name")
def revive(name: str) -> None:
    """Start a killed node again, with its disk."""
    found = nodes.named(name)
    nodes.start(found)
    nodes.wait_ready([found])


@node.command()
@click.argument("name")
@click.option(
    "--delay", "each_way", required=True, metavar="20ms", help="How long each packet waits, each way; 0ms ends it."
)
@click.option("--beyond-rack", is_flag=True, help="Only what goes to nodes of other racks and comes from them.")
def slow(name: str, each_way: str, beyond_rack: bool) -> None:
    """Delay the packets of a node."""
    try:
        milliseconds = float(each_way.removesuffix("ms"))
    except ValueError:
        raise LabError(f"--delay is a number of milliseconds such as 20ms, not '{each_way}'") from None
    if not 0 <= milliseconds <= MOST_DELAY:
        raise LabError(f"--delay is between 0ms and {MOST_DELAY}ms, not '{each_way}'")
    found = nodes.named(name)
    away = [each for each in nodes.all_nodes() if each.rack != found.rack] if beyond_rack else None
    if away == []:
        raise LabError(f"no node is in another rack than {name} ({found.rack}); 'python -m lab node add' makes one")
    delay.set_delay(found, milliseconds, away)


MOST_DELAY = 10_000
