"""`plimsoll down`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.options import application_target, file_option, json_option, on_target, print_json, target_option
from plimsoll.errors import FileError
from plimsoll.targets.features import KEEP

if TYPE_CHECKING:
    from plimsoll.targets.port import Target


@click.command("down")
@click.argument("services", metavar="[SERVICE]…", nargs=-1)
@file_option
@target_option
@click.option("--force", is_flag=True, help="Take the application from somebody else's run, which then lets go.")
@json_option
def command(
    services: tuple[str, ...], file: Path, target: str, namespace: str | None, force: bool, as_json: bool
) -> None:
    """Stop the current run and all services, or only each SERVICE that plimsoll up keeps. Finished steps are kept.

    On a cluster, all objects of the application are deleted, whoever has made them, and no others. While somebody
    else's run of the application is under way there, nothing is.
    """
    from plimsoll.engine.stopping import stop_application

    place = application_target(file, target, namespace, elsewhere=True, several=True)
    if services:
        _end_services(place, services, as_json=as_json)
        return
    stopped = stop_application(place, force=force, waiting=lambda text: click.echo(text, err=True))
    who = stopped.run
    if as_json:
        ended = {"services": stopped.services} if KEEP in place.features else {}
        print_json({"stopped": who.run if who else None, **ended, "removed": stopped.removed, "kept": stopped.kept})
        return
    if who:
        click.echo(f"stopped run {who.run} of {who.application}")
    if stopped.services:
        click.echo(f"ended {', '.join(stopped.services)}")
    if not who and not stopped.services and not stopped.removed:
        click.echo(f"nothing is running {on_target(target)}")
    if stopped.removed:
        click.echo(f"deleted {len(stopped.removed)} objects: {', '.join(stopped.removed)}")
    for each in stopped.kept:
        click.echo(each)


def _end_services(place: Target, services: Sequence[str], *, as_json: bool) -> None:
    """End services that are kept up apart from runs. Raises FileError for one that is not."""
    keeper = place.features.require(KEEP)
    known = keeper.kept()
    if unknown := [name for name in services if name not in known]:
        listed = f"plimsoll up keeps {', '.join(known)}" if known else "plimsoll up keeps none"
        raise FileError(f"service '{unknown[0]}' is not kept up", where="SERVICE", hint=listed)
    ended = keeper.release(services)
    print_json({"services": ended}) if as_json else click.echo(f"ended {', '.join(ended)}")
