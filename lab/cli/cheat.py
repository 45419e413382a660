"""`python -m lab cheat`: look conformant without being it."""

from __future__ import annotations

import click

from lab.cheats import catalogue
from lab.cheats.active import active_cheats
from lab.errors import LabError


@click.command()
@click.argument("name", required=False)
@click.option("--off", "undo", is_flag=True, help="Undo it; without a NAME, whatever is on.")
@click.option("--list", "listing", is_flag=True, help="Print what there is.")
def cheat(name: str | None, undo: bool, listing: bool) -> None:
    """Switch one cheat on, for trying whether a check sees through it. One at a time."""
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
        raise LabError("name a cheat; 'python -m lab cheat --list' prints them")
