"""`plimsoll report`."""

from __future__ import annotations

from pathlib import Path

import click

from plimsoll.cli.options import file_option, json_option, print_json, state_beside


@click.command("report")
@file_option
@click.option("--run", "run_id", default=None, help="An earlier run; the newest when left out.")
@json_option
def command(file: Path, run_id: str | None, as_json: bool) -> None:
    """Draw a run as one self-contained HTML page, and print where it is."""
    from plimsoll.engine.standing import standing
    from plimsoll.report.write import write_report

    state = state_beside(file)
    path = write_report(state, standing(state, run_id).run)
    print_json({"report": str(path)}) if as_json else click.echo(path)
