"""`plimsoll status`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.options import (
    LOCAL,
    application_state,
    application_target,
    file_option,
    json_option,
    on_target,
    print_json,
    run_command,
    target_option,
    use_colour,
    width,
)
from plimsoll.cli.rows import amount
from plimsoll.cli.terminal import one_line

if TYPE_CHECKING:
    from plimsoll.engine.history import RunHistory
    from plimsoll.targets.port import Target
    from plimsoll.telemetry.drift.state import DriftState


@click.command("status")
@file_option
@target_option
@json_option
def command(file: Path, target: str, namespace: str | None, as_json: bool) -> None:
    """Print the current run, or how the last run ended, and the services that are running."""
    from plimsoll.engine.run_status import run_status
    from plimsoll.engine.sizes import sizes
    from plimsoll.report.write import terminal_report

    place = application_target(file, target, namespace, elsewhere=True)
    state = place.state
    # What runs on a cluster may have been started elsewhere.
    run = run_status(state) if target == LOCAL or state.run_ids() else None
    up, problems, elsewhere = place.services(), place.problems(), place.run_note()
    if run is None and not up and not problems and not elsewhere:
        application_state(file, target)
    drift = {name: states for name in up if (states := place.drift(name))}
    waits, kept = place.waits(), sizes(place)
    if as_json:
        told = {"problems": dict(problems), "waits": list(waits), "sizes": dict(kept)}
        print_json({**_summary(run, place, up, drift), **told})
        return
    lines = (
        terminal_report(state, run.run, width(), use_colour())
        if run is not None
        else [f"no run {on_target(target)} was started from this directory"]
    )
    for line in lines:
        click.echo(line)
    for line in (*_awaited(run), elsewhere, *waits):
        if line:
            click.echo(one_line(line))
    for name, url in up.items():
        click.echo(f"{name} is running at {url}")
        for note in place.service_notes(name):
            click.echo(f"  {note}")
        for version in drift.get(name, ()):
            for line in version.lines():
                click.echo(f"  version {version.version}: {line}")
    for name, reason in problems.items():
        click.echo(f"{name} cannot be reached: {reason}; `{run_command(file, target)}` makes it as the file says")
    if any(kept.values()):
        click.echo("on disk: " + ", ".join(f"{kind} {amount(size)}" for kind, size in kept.items() if size))
    if run is not None and run.state == "killed":
        click.echo(f"the run was killed; `{run_command(file, target)}` resumes from the finished steps")


def _awaited(run: RunHistory | None) -> list[str]:
    """What each step waits for that goes on, in words."""
    return [f"{name} waits: {awaited}" for name, awaited in run.awaited()] if run is not None else []


def _summary(
    run: RunHistory | None, place: Target, up: Mapping[str, str], drift: Mapping[str, Sequence[DriftState]]
) -> dict[str, object]:
    """The object for other programs; of a cluster that this directory has not run on, its services alone."""
    from plimsoll.engine.summary import summary
    from plimsoll.report.write import report_path

    if run is None:
        return {"run": None, "target": place.name, "services": {name: {"url": url} for name, url in up.items()}}
    report = report_path(place.state, run.run)
    return summary(run, up, report if report.exists() else None, drift)
