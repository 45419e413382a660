"""`plimsoll rollback`."""

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


@click.command("rollback")
@click.argument("service", shell_complete=completion.services)
@file_option
@target_option
@click.option(
    "--to",
    "reference",
    shell_complete=completion.versions,
    default=None,
    metavar="REFERENCE",
    help="Version to lead the requests to (triage@1); by default the one before the last promotion.",
)
@json_option
def command(service: str, file: Path, target: str, namespace: str | None, reference: str | None, as_json: bool) -> int:
    """Move all requests of SERVICE at once back to the version that had them before the last promotion."""
    from plimsoll.engine.promotion.rollback import rollback
    from plimsoll.engine.standbys import standby_note
    from plimsoll.kinds.table import KINDS

    caught = catch_stop_signals()
    done = rollback(
        application_target(file, target, namespace, several=True),
        service,
        reference=reference,
        say=lambda line: click.echo(line, err=as_json),
        stopped=lambda: bool(caught),
        file=application_file(file),
    )
    if as_json:
        print_json(done)
    elif done.promoted:
        click.echo(f"service {done.service}: version {done.new} answers all requests ({done.reason})")
        if note := standby_note(KINDS.load(application_file(file)), done.service, "rollback {service}"):
            click.echo(note)
    else:
        click.echo(f"service {done.service}: version {done.old} goes on answering: {done.reason}")
    return 0 if done.promoted else 128 + caught[0] if caught else 1
