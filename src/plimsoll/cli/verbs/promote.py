"""`plimsoll promote`."""

from __future__ import annotations

from pathlib import Path

import click

from plimsoll.cli import completion
from plimsoll.cli.interrupts import catch_stop_signals
from plimsoll.cli.options import (
    application_file,
    application_target,
    file_option,
    json_option,
    print_json,
    target_option,
)
from plimsoll.errors import FileError


@click.command("promote")
@click.argument("reference", shell_complete=completion.versions)
@file_option
@target_option
@click.option(
    "--service",
    default=None,
    shell_complete=completion.services,
    help="Service to promote in, when several use the model.",
)
@click.option(
    "--steps", default="5,25,50,100", show_default=True, help="Percentages of the requests, one for each step."
)
@click.option("--requests", default=200, show_default=True, help="Requests that each version must answer in a step.")
@click.option(
    "--hold", type=float, default=None, help="Minimum duration of a step in seconds.  [default: 10; 0 with --force]"
)
@click.option(
    "--limit",
    default=600.0,
    show_default=True,
    help="Maximum duration of a step in seconds; then the promotion is rolled back.",
)
@click.option("--force", is_flag=True, help="Promote whatever the comparison says, and without waiting for requests.")
@json_option
def command(
    reference: str,
    file: Path,
    target: str,
    namespace: str | None,
    service: str | None,
    steps: str,
    requests: int,
    hold: float | None,
    limit: float,
    force: bool,
    as_json: bool,
) -> int:
    """Move the traffic of a running service to REFERENCE (triage@2) step by step; roll back when it is worse."""
    from plimsoll.engine.promotion.promoting import Pace, promote
    from plimsoll.engine.standbys import standby_note
    from plimsoll.kinds.table import KINDS

    held = hold if hold is not None else 0.0 if force else 10.0
    pace = Pace(steps=_steps(steps), requests=max(1, requests), hold=held, limit=limit, forced=force)
    caught = catch_stop_signals()
    done = promote(
        application_target(file, target, namespace, several=True),
        reference,
        service=service,
        pace=pace,
        say=lambda line: click.echo(line, err=as_json),
        stopped=lambda: bool(caught),
        file=application_file(file),
    )
    if as_json:
        print_json(done)
    elif done.promoted:
        click.echo(f"service {done.service}: {reference} answers all requests ({done.reason})")
        if note := standby_note(
            KINDS.load(application_file(file)), done.service, f"promote {reference} --service {{service}}"
        ):
            click.echo(note)
    else:
        click.echo(f"service {done.service}: rolled back to version {done.old}: {done.reason}")
    return 0 if done.promoted else 128 + caught[0] if caught else 1


def _steps(written: str) -> tuple[int, ...]:
    try:
        steps = tuple(int(each) for each in written.split(","))
    except ValueError:
        steps = ()
    if not steps or list(steps) != sorted(set(steps)) or steps[0] < 1 or steps[-1] != 100:
        raise FileError(
            f"'{written}' is not a list of steps",
            where="--steps",
            hint="give ascending percentages that end with 100, for example 10,50,100",
        )
    return steps
