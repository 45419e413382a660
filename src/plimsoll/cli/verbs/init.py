"""`plimsoll init`."""

from __future__ import annotations

from pathlib import Path

import click

from plimsoll.cli.options import json_option, print_json


@click.command("init")
@click.argument("name", default="")
@json_option
def command(name: str, as_json: bool) -> None:
    """Create a small working application in the directory NAME, by default the current directory."""
    from plimsoll.application.starter import EXTRAS, write_starter
    from plimsoll.errors import install_command
    from plimsoll.targets.extras import missing_extras

    directory = Path(name) if name else Path()
    written = write_starter(directory, directory.resolve().name)
    lacking = [extra for extra in EXTRAS if extra in missing_extras()]
    if as_json:
        install = {"install": install_command(lacking)} if lacking else {}
        print_json({"files": [str(path) for path in written], **install})
        return
    if lacking:
        click.echo(f"install what its service and its batch need: {install_command(lacking)}\n")
    for path in written:
        click.echo(f"wrote {path}")
    click.echo(f"\nnext:  {f'cd {name} && ' if name else ''}plimsoll run")
