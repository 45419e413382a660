"""`plimsoll status`."""

from __future__ import annotations

from pathlib import Path

import click

from plimsoll.cli.options import (
    application_target,
    file_option,
    json_option,
    print_json,
    run_command,
    target_option,
    use_colour,
    width,
)
from plimsoll.cli.terminal import one_line


@click.command("status")
@file_option
@target_option
@json_option
def command(file: Path, target: str, namespace: str | None, as_json: bool) -> None:
    """Print the current run, or how the last run ended, and the services that are running."""
    from plimsoll.engine.run_status import run_status
    from plimsoll.engine.summary import summary
    from plimsoll.report.write import report_path, terminal_report

    place = application_target(file, target, namespace)
    state = place.state
    run = run_status(state)
    up = place.services()
    drift = {name: states for name in up if (states := place.drift(name))}
    waits = place.waits()
    report = report_path(state, run.run)
    if as_json:
        print_json({**summary(run, up, report if report.exists() else None, drift), "waits": list(waits)})
        return
    for line in terminal_report(state, run.run, width(), use_colour()):
        click.echo(line)
    for name, awaited in run.awaited():
        click.echo(one_line(f"{name} waits: {awaited}"))
    for wait in waits:
        click.echo(one_line(wait))
    for name, url in up.items():
        click.echo(f"{name} is running at {url}")
        for note in place.service_notes(name):
            click.echo(f"  {note}")
        for version in drift.get(name, ()):
            for line in version.lines():
                click.echo(f"  version {version.version}: {line}")
    if run.state == "killed":
        click.echo(f"the run was killed; `{run_command(file, target)}` resumes from the finished steps")
