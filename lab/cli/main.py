"""The verbs of `python -m lab`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from lab import layout, lifecycle, requirements, scale, status
from lab.addons import catalogue
from lab.build import cache, go
from lab.build.components import BY_NAME
from lab.cli.cheat import cheat
from lab.cli.image import image
from lab.cli.link import link
from lab.cli.node import node
from lab.cli.say import LabGroup, say
from lab.control_plane import storage
from lab.errors import LabError


@click.group(cls=LabGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A real Kubernetes of several nodes on one Linux machine, built from source, without a container engine."""


main.add_command(node)
main.add_command(link)
main.add_command(image)
main.add_command(cheat)


@main.command()
@click.option("--nodes", "count", type=click.IntRange(1, 100), help="Number of plain nodes.  [default: 2; light: 1]")
@click.option(
    "--accelerated", type=click.IntRange(0, 20), default=0, show_default=True, help="Number of nodes with accelerators."
)
@click.option("--with", "names", default="", metavar="NAME,…", help="Add-ons; 'python -m lab addons' lists them.")
@click.option("--light", is_flag=True, help="Kubernetes over SQLite, as K3s has it, in the least memory.")
def up(count: int | None, accelerated: int, names: str, light: bool) -> None:
    """Start the lab, repair it, or add nodes and add-ons to it."""
    addons = [name.strip() for name in names.split(",") if name.strip()]
    lifecycle.up(count or (1 if light or storage.is_light() else 2), accelerated, addons, say, light=light)
    click.echo(f"export KUBECONFIG={layout.KUBECONFIG}")


@main.command()
def down() -> None:
    """Stop the lab and remove every trace of it except the build cache."""
    lifecycle.down(say)


@main.command()
def kubeconfig() -> None:
    """Print the path of the administrator's kubeconfig."""
    lifecycle.require_running()
    click.echo(layout.KUBECONFIG)


@main.command("status")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def show_status(output: str) -> None:
    """Show the machines, their programs, and the add-ons."""
    found = status.read()
    click.echo(json.dumps(found.as_json(), indent=1) if output == "json" else "\n".join(_lines(found)))
    if found.api_problem:
        sys.exit(1)


def _lines(found: status.LabStatus) -> list[str]:
    problem = found.api_problem
    api = f"does not answer ({problem.splitlines()[0]}); 'python -m lab up' repairs it" if problem else "ready"
    lines = [f"API server  127.0.0.1:{found.port or '-'}  {api}{f', link {found.link}' if found.link else ''}"]
    rows = [("MACHINE", "STATE", "GROUP", "ZONE", "RACK", "MEMORY", "PROGRAMS")]
    for each in found.machines:
        memory = f"{each.memory / 1e6:.0f} MB"
        rows.append((each.name, each.state, each.group, each.zone, each.rack, memory, _programs(each.programs)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [*lines, f"add-ons     {', '.join(found.addons) or 'none'}"]


def _programs(programs: dict[str, int | None]) -> str:
    words = []
    for name, restarts in programs.items():
        note = " (down)" if restarts is None else f" ({restarts} restarts)" if restarts else ""
        words.append(name + note)
    return ", ".join(words)


@main.command()
def addons() -> None:
    """List the add-ons: whether each is built or installed, and a summary."""
    installed = catalogue.installed()
    width = max(map(len, catalogue.ADDONS))
    for name, each in catalogue.ADDONS.items():
        built = all(cache.is_built(BY_NAME[component]) for component in each.components)
        state = "installed" if name in installed else "built" if built else "-"
        click.echo(f"{name:<{width}}  {state:<9}  {each.summary}")


@main.command()
@click.argument("names", nargs=-1, metavar="[ADD-ON]…")
@click.option("--tested", is_flag=True, help="Build the add-ons that 'make test' needs.")
@click.option("--all", "everything", is_flag=True, help="Build every add-on, and what other tests need.")
def build(names: tuple[str, ...], tested: bool, everything: bool) -> None:
    """Build the core and add-ons into the cache without starting anything. Install Go into the cache if needed."""
    obstacles = [each for each in requirements.missing() if not each.startswith("Go")]
    if tested and obstacles:
        say(f"skipping the build, as the lab cannot run here; it needs: {'; '.join(obstacles)}")
        return
    go.ensure_go(say)
    addons = (*names, *(catalogue.TESTED if tested else ()), *(catalogue.ADDONS if everything else ()))
    extra = (*(("scale",) if tested or everything else ()), *(("kine", "weaviate") if everything else ()))
    for name in dict.fromkeys((*lifecycle.CORE, *extra, *catalogue.components_of(addons))):
        cache.ensure(BY_NAME[name], say)


@main.command("scale")
@click.option("--nodes", type=click.IntRange(0, 20_000), default=5000, show_default=True)
@click.option("--pods", type=click.IntRange(0, 500_000), default=150_000, show_default=True)
@click.option("--namespaces", type=click.IntRange(1, 10_000), default=100, show_default=True)
@click.option("--off", is_flag=True, help="Remove the API server and its objects.")
def fill_scale(nodes: int, pods: int, namespaces: int, off: bool) -> None:
    """Start a second API server with nodes and pods behind which nothing runs."""
    requirements.check()
    if off:
        scale.remove()
        return
    scale.fill(nodes, pods, namespaces, say)
    click.echo(f"export KUBECONFIG={scale.DOOR.kubeconfig}")


@main.command()
@click.argument("component", required=False)
@click.option("--lines", type=click.IntRange(1), default=40, show_default=True)
def logs(component: str | None, lines: int) -> None:
    """Print the end of a log: COMPONENT of the control plane, or NODE/COMPONENT. Without COMPONENT, list the logs."""
    folder = layout.FOLDER / "machines"
    if component is None:
        found = sorted(folder.glob("*/logs/*.log"))
        if not found:
            raise LabError("there are no logs; 'python -m lab up' starts the lab")
        for path in found:
            machine = path.parts[-3]
            click.echo(path.stem if machine == layout.CONTROL_PLANE else f"{machine}/{path.stem}")
        return
    machine, _, program = component.rpartition("/")
    path = folder / (machine or layout.CONTROL_PLANE) / "logs" / f"{program}.log"
    if not path.exists():
        raise LabError(f"'{component}' has no log; 'python -m lab logs' lists the logs")
    click.echo("\n".join(_tail(path, lines)))


_LONG_LINE = 400


def _tail(path: Path, lines: int) -> list[str]:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _LONG_LINE * lines))
        return file.read().decode(errors="replace").splitlines()[-lines:]
