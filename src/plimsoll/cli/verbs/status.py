"""`plimsoll status`."""

from __future__ import annotations

from pathlib import Path

import click

from plimsoll.cli.options import file_option, json_option, print_json, state_beside, use_colour, width


@click.command("status")
@file_option
@json_option
def command(file: Path, as_json: bool) -> None:
    """Print the run that is under way, or how the last one ended, and which services are up."""
    from plimsoll.engine.standing import standing
    from plimsoll.engine.summary import summary
    from plimsoll.report.write import report_path, terminal_report
    from plimsoll.targets.local.servers import running_services

    state = state_beside(file)
    run = standing(state)
    up = {name: service.url for name, service in running_services(state).items()}
    report = report_path(state, run.run)
    if as_json:
        print_json(summary(run, up, report if report.exists() else None))
        return
    for line in terminal_report(state, run.run, width(), use_colour()):
        click.echo(line)
    for name, url in up.items():
        click.echo(f"{name} is up at {url}")
    if run.state == "killed":
        click.echo(f"the run was killed; `plimsoll run -f {file}` goes on from what is finished")
