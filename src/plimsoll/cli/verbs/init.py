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
    from plimsoll.application.starter import write_starter

    directory = Path(name) if name else Path()
    written = write_starter(directory, directory.resolve().name)
    if as_json:
        print_json({"files": [str(path) for path in written]})
        return
    for path in written:
        click.echo(f"wrote {path}")
    click.echo(f"\nnext:  {f'cd {name} && ' if name else ''}plimsoll run")
