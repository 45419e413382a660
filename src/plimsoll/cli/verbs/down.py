"""`plimsoll down`."""

from __future__ import annotations

from pathlib import Path

import click

from plimsoll.cli.options import application_target, file_option, json_option, on_target, print_json, target_option


@click.command("down")
@file_option
@target_option
@click.option("--force", is_flag=True, help="Take the application from somebody else's run, which then lets go.")
@json_option
def command(file: Path, target: str, namespace: str | None, force: bool, as_json: bool) -> None:
    """Stop the current run and its services. Finished steps are kept.

    On a cluster, all objects of the application are deleted, whoever has made them, and no others. While somebody
    else's run of the application is under way there, nothing is.
    """
    from plimsoll.engine.stopping import stop_application

    place = application_target(file, target, namespace, elsewhere=True)
    stopped = stop_application(place, force=force, waiting=lambda text: click.echo(text, err=True))
    who = stopped.run
    if as_json:
        print_json({"stopped": who.run if who else None, "removed": stopped.removed, "kept": stopped.kept})
        return
    if who:
        click.echo(f"stopped run {who.run} of {who.application}")
    elif not stopped.removed:
        click.echo(f"nothing is running {on_target(target)}")
    if stopped.removed:
        click.echo(f"deleted {len(stopped.removed)} objects: {', '.join(stopped.removed)}")
    for each in stopped.kept:
        click.echo(each)
