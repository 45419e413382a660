"""The lab's command line."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click

from lab import layout, lifecycle, nodes
from lab.errors import LabError
from lab.network import delay, wires


class _Group(click.Group):
    """Shows what went wrong in the lab's words, never as a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LabError as error:
            click.echo(f"lab: {error}", err=True)
            sys.exit(1)
        except PermissionError as error:
            click.echo(f"lab: {error}; the lab needs root", err=True)
            sys.exit(1)


_began = time.monotonic()


def _say(text: str) -> None:
    click.echo(f"{time.monotonic() - _began:6.1f} s  {text}", err=True)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A real Kubernetes of several nodes on one Linux machine, from source, without a container engine."""


@main.command()
@click.option("--nodes", "count", type=click.IntRange(1, layout.MOST_NODES), default=2, show_default=True)
@click.option("--accelerated", type=click.IntRange(0, 20), default=0, show_default=True, help="Nodes with accelerators.")
@click.option("--with", "addons", default="", metavar="NAME,…", help="Add-ons; 'python -m lab addons' lists them.")
def up(count: int, accelerated: int, addons: str) -> None:
    """Start the lab, or repair it, or add to it."""
    lifecycle.up(count, accelerated, [name for name in addons.split(",") if name], _say)
    click.echo(f"export KUBECONFIG={layout.KUBECONFIG}")


@main.command()
def down() -> None:
    """Stop the lab and remove every trace of it except the cache of binaries."""
    lifecycle.down(_say)


@main.command()
def kubeconfig() -> None:
    """Print the path of the administrator's kubeconfig."""
    lifecycle.require_running()
    click.echo(layout.KUBECONFIG)


@main.group()
def node() -> None:
    """Add, remove, cut, slow, kill and revive nodes."""


@node.command("add")
@click.option("--group", type=click.Choice(["plain", "accelerated"]), default="plain", show_default=True)
def add_node(group: str) -> None:
    """Add a node and wait until it is Ready."""
    lifecycle.require_running()
    click.echo(lifecycle.add_node(group, _say).name)


@node.command("remove")
@click.argument("name")
def remove_node(name: str) -> None:
    """Remove a node with its disk."""
    nodes.remove(nodes.named(name))


@node.command("cut")
@click.argument("name")
def cut_node(name: str) -> None:
    """Take a node off the network; what runs on it goes on."""
    wires.cut(nodes.named(name))


@node.command("mend")
@click.argument("name")
def mend_node(name: str) -> None:
    """Put a node back on the network, at full speed."""
    found = nodes.named(name)
    wires.mend(found)
    delay.set_delay(found, 0)


@node.command("kill")
@click.argument("name")
def kill_node(name: str) -> None:
    """End everything on a node at once, as when its power fails."""
    nodes.kill(nodes.named(name))


@node.command("revive")
@click.argument("name")
def revive_node(name: str) -> None:
    """Start a killed node again, with its disk."""
    found = nodes.named(name)
    nodes.start(found)
    nodes.wait_ready([found])


@node.command("slow")
@click.argument("name")
@click.option("--delay", "each_way", required=True, metavar="20ms", help="How long each packet waits, each way; 0ms ends it.")
def slow_node(name: str, each_way: str) -> None:
    """Delay every packet of a node."""
    try:
        milliseconds = float(each_way.removesuffix("ms"))
    except ValueError:
        raise LabError(f"--delay is a number of milliseconds such as 20ms, not '{each_way}'") from None
    delay.set_delay(nodes.named(name), milliseconds)


@main.command()
@click.argument("component", required=False)
@click.option("--lines", default=40, show_default=True)
def logs(component: str | None, lines: int) -> None:
    """Print the end of a component's log: COMPONENT of the control plane, or NODE/COMPONENT. Without one, list them."""
    folder = layout.FOLDER / "machines"
    if component is None:
        for path in sorted(folder.glob("*/logs/*.log")):
            machine = path.parts[-3]
            click.echo(path.stem if machine == layout.CONTROL_PLANE else f"{machine}/{path.stem}")
        return
    machine, _, program = component.rpartition("/")
    path = folder / (machine or layout.CONTROL_PLANE) / "logs" / f"{program}.log"
    if not path.exists():
        raise LabError(f"there is no log of '{component}'; 'python -m lab logs' lists them")
    click.echo("\n".join(_tail(path, lines)))


def _tail(path: Path, lines: int) -> list[str]:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 400 * lines))
        return file.read().decode(errors="replace").splitlines()[-lines:]
