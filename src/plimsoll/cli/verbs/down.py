"""`plimsoll down`."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.options import application_target, file_option, json_option, on_target, print_json, target_option
from plimsoll.errors import FileError, TargetError
from plimsoll.targets.features import KEEP
from plimsoll.waits import waiting_for

if TYPE_CHECKING:
    from plimsoll.state.lock import Holder
    from plimsoll.targets.port import Target

TIMEOUT = 20.0
"""Seconds that a run has to drain its services and end."""


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
    from plimsoll.state.lock import holder

    place = application_target(file, target, namespace, elsewhere=True)
    state = place.state
    if services:
        _end_services(place, services, as_json=as_json)
        return
    who = holder(state.lock)
    if who is not None:
        os.kill(who.pid, signal.SIGTERM)
        with waiting_for(f"run {who.run} (process {who.pid}) to end"):
            _await_end(state.lock, who)
    ended = place.features.require(KEEP).release(()) if KEEP in place.features else []
    kept: list[str] = []
    removed = place.remove(kept.append, force=force, waiting=lambda text: click.echo(text, err=True))
    if as_json:
        services_ended = {"services": ended} if KEEP in place.features else {}
        print_json({"stopped": who.run if who else None, **services_ended, "removed": removed, "kept": kept})
        return
    if who:
        click.echo(f"stopped run {who.run} of {who.application}")
    if ended:
        click.echo(f"ended {', '.join(ended)}")
    if not who and not ended and not removed:
        click.echo(f"nothing is running {on_target(target)}")
    if removed:
        click.echo(f"deleted {len(removed)} objects: {', '.join(removed)}")
    for each in kept:
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


def _await_end(lock: Path, who: Holder) -> None:
    from plimsoll.state.lock import holder

    deadline = time.monotonic() + TIMEOUT
    while holder(lock) is not None:
        if time.monotonic() > deadline:
            raise TargetError(
                f"run {who.run} did not end within {TIMEOUT:g} s",
                where=f"process {who.pid}",
                hint=f"kill -9 {who.pid} ends the run and every process that it started",
            )
        time.sleep(0.05)
