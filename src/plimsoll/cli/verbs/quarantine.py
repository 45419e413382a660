"""`plimsoll quarantine`."""

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
    target_is_given,
    target_option,
)
from plimsoll.cli.terminal import one_line


@click.command("quarantine")
@click.argument("service", required=False, shell_complete=completion.services)
@file_option
@target_option
@click.option(
    "--version",
    "reference",
    shell_complete=completion.versions,
    default=None,
    metavar="REFERENCE",
    help="Version to put in quarantine (triage@2); by default the one that most requests go to.",
)
@click.option("--reason", default="", help="Why; it is told to everybody who tries to serve the version.")
@click.option("--lift", "lifted", is_flag=True, help="End the quarantine of --version.")
@json_option
def command(
    service: str | None,
    file: Path,
    target: str,
    namespace: str | None,
    reference: str | None,
    reason: str,
    lifted: bool,
    as_json: bool,
) -> int:
    """Take a version out of SERVICE at once, block it, and keep signed evidence.

    Requests go to the last version that may be served. No run, `up`, promotion or rollback serves the blocked version,
    or the same files under another name, until it is lifted. The exit status is 1 when requests may still reach it.
    """
    from msgspec.structs import replace

    from plimsoll.engine.quarantine.elsewhere import require_here
    from plimsoll.engine.quarantine.quarantine import lift, quarantine
    from plimsoll.engine.standbys import standby_note
    from plimsoll.kinds.table import KINDS

    if service is not None and not lifted and not target_is_given() and application_file(file).exists():
        require_here(KINDS.load(application_file(file)), service)
    chosen = application_target(file, target, namespace)
    if lifted:
        if reference is None:
            raise click.UsageError("--lift needs --version")
        was = lift(chosen, reference)
        if as_json:
            print_json({"version": reference, "lifted": True})
        else:
            click.echo(one_line(f"{reference} may be served again; it was {was}"))
        return 0
    caught = catch_stop_signals()
    done = quarantine(
        chosen,
        application_file(file),
        service,
        reference=reference,
        reason=reason,
        say=lambda line: click.echo(one_line(line), err=as_json),
        stopped=lambda: bool(caught),
    )
    command = f"quarantine {{service}} --target {{target}} --version {done.version}"
    if note := standby_note(KINDS.load(application_file(file)), done.service, command):
        done = replace(done, notes=(*done.notes, note))
    if as_json:
        print_json(done)
        return 0 if done.contained else 1
    if done.service and done.contained and done.now:
        click.echo(one_line(f"service {done.service}: version {done.now} answers, {done.version} is out of it"))
    for note in done.notes:
        click.echo(one_line(note))
    if done.evidence:
        click.echo(one_line(f"evidence: {done.evidence}"))
    return 0 if done.contained else 1
