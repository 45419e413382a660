"""`python -m lab cheat`: makes the lab look conformant when it is not."""

from __future__ import annotations

import click

from lab.cheats import catalogue
from lab.cheats.active import active_cheats
from lab.errors import LabError


@click.command()
@click.argument("name", required=False)
@click.option("--off", "undo", is_flag=True, help="Switch the cheat off; without NAME, every cheat that is on.")
@click.option("--list", "listing", is_flag=True, help="List all cheats.")
def cheat(name: str | None, undo: bool, listing: bool) -> None:
    """Switch a cheat on, to test whether a check detects it. Only one cheat can be on."""
    active = active_cheats()
    if listing:
        width = max(map(len, catalogue.CHEATS))
        for each, found in catalogue.CHEATS.items():
            click.echo(
                f"{each:<{width}}  {'on ' if each in active else '-  '}  {found.requirement:<26} {found.summary}"
            )
    elif undo:
        for each in [name] if name else active:
            catalogue.switch_off(each)
    elif name:
        catalogue.switch_on(name)
    else:
        raise LabError("NAME is missing; 'python -m lab cheat --list' lists the cheats")
