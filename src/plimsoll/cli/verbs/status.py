"""`plimsoll status`."""

from __future__ import annotations

from pathlib import Path

import click

from plimsoll.cli.options import file_option, json_option, print_json, site_beside, target_option, use_colour, width


@click.command("status")
@file_option
@target_option
@json_option
def command(file: Path, target: str, namespace: str | None, as_json: bool) -> None:
    """Print the run that is under way, or how the last one ended, and which services are up."""
    from plimsoll.engine.promotion.keeping import Kept
    from plimsoll.engine.run_status import standing
    from plimsoll.engine.summary import summary
    from plimsoll.report.write import report_path, terminal_report

    site = site_beside(file, target, namespace)
    state = site.state
    run = standing(state)
    up = site.services()
    drift = {name: told for name in up if (told := site.drift(name))}
    report = report_path(state, run.run)
    if as_json:
        print_json(summary(run, up, report if report.exists() else None, drift))
        return
    for line in terminal_report(state, run.run, width(), use_colour()):
        click.echo(line)
    for name, url in up.items():
        click.echo(f"{name} is up at {url}")
        if (told := site.service_file(name)) and (promotion := Kept(told).standing()):
            click.echo(f"  {promotion}")
        for version in drift.get(name, ()):
            for line in version.lines():
                click.echo(f"  version {version.version}: {line}")
    if run.state == "killed":
        option = "" if target == "local" else f" --target {target}"
        click.echo(f"the run was killed; `plimsoll run -f {file}{option}` goes on from what is finished")
