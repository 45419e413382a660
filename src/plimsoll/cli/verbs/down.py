"""`plimsoll down`."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.options import application_target, file_option, json_option, on_target, print_json, target_option
from plimsoll.errors import TargetError
from plimsoll.waits import waiting_for

if TYPE_CHECKING:
    from plimsoll.state.lock import Holder

TIMEOUT = 20.0
"""Seconds that a run has to drain its services and end."""


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
    from plimsoll.state.lock import holder

    place = application_target(file, target, namespace, elsewhere=True)
    state = place.state
    who = holder(state.lock)
    if who is not None:
        os.kill(who.pid, signal.SIGTERM)
        with waiting_for(f"run {who.run} (process {who.pid}) to end"):
            _await_end(state.lock, who)
    kept: list[str] = []
    removed = place.remove(kept.append, force=force, waiting=lambda text: click.echo(text, err=True))
    if as_json:
        print_json({"stopped": who.run if who else None, "removed": removed, "kept": kept})
        return
    if who:
        click.echo(f"stopped run {who.run} of {who.application}")
    elif not removed:
        click.echo(f"nothing is running {on_target(target)}")
    if removed:
        click.echo(f"deleted {len(removed)} objects: {', '.join(removed)}")
    for each in kept:
        click.echo(each)


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
