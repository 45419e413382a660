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
def command(file: Path, target: str, namespace: str | None, as_json: bool) -> int:
    """Print the current run, or how the last run ended, and the services that are running.

    The exit status follows the state: 0 done, 1 failed, 3 running, 4 stopped, 5 killed, 6 a service is down.
    """
    from plimsoll.cli.exit_statuses import exit_status
    from plimsoll.engine.run_status import run_status
    from plimsoll.engine.sizes import sizes
    from plimsoll.report.newest_point import newest_points
    from plimsoll.report.write import terminal_report
    from plimsoll.targets.features import KEEP

    place = application_target(file, target, namespace, elsewhere=True, several=True)
    state = place.state
    # What runs on a cluster may have been started elsewhere.
    run = run_status(state) if state.run_ids() else None
    up, problems, elsewhere = place.services(), place.problems(), place.run_note()
    if run is None and not up and not problems and not elsewhere:
        found = application_state(file, target)
        if target == LOCAL:
            # It says that there is none.
            run = run_status(found)
    drift = {name: states for name in up if (states := place.drift(name))}
    waits, kept = place.waits(), sizes(place)
    notes = {name: [*place.service_notes(name), *kept_notes(place, name)] for name in (*up, *problems)}
    keeper = place.features.require(KEEP).keeper() if KEEP in place.features else ""
    points = newest_points(state, run) if run is not None and run.state == "running" else {}
    status = exit_status(run.state if run is not None else None, services_down=bool(problems))
    if as_json:
        known = {"problems": dict(problems), "waits": list(waits), "notes": notes, "curves": points, "keeper": keeper}
        print_json({**_summary(run, place, up, drift), **known, "sizes": dict(kept), "exit_status": status})
        return status
    lines = (
        terminal_report(state, run.run, width(), use_colour())
        if run is not None
        else [f"no run {on_target(target)} was started from this directory"]
    )
    for line in lines:
        click.echo(line)
    for line in (*_going_on(run, points), *_awaited(run), elsewhere, *waits):
        if line:
            click.echo(one_line(line))
    _print_services(up, notes, drift)
    if keeper:
        click.echo(f"services are kept up by {keeper}; `plimsoll down` ends them")
    _print_problems(problems, notes, file, target)
    if any(kept.values()):
        click.echo("on disk: " + ", ".join(f"{kind} {amount(size)}" for kind, size in kept.items() if size))
    if run is not None and run.state == "killed":
        click.echo(f"the run was killed; `{run_command(file, target)}` resumes from the finished steps")
    return status


def _print_services(
    up: Mapping[str, str], notes: Mapping[str, Sequence[str]], drift: Mapping[str, Sequence[DriftState]]
) -> None:
    for name, url in up.items():
        click.echo(f"{name} is running at {url}")
        for note in notes[name]:
            click.echo(f"  {one_line(note)}")
        for version in drift.get(name, ()):
            for line in version.lines():
                click.echo(f"  version {version.version}: {line}")


def _print_problems(problems: Mapping[str, str], notes: Mapping[str, Sequence[str]], file: Path, target: str) -> None:
    for name, reason in problems.items():
        again = "" if target == LOCAL else f"; `{run_command(file, target)}` makes it as the file says"
        click.echo(one_line(f"{name} cannot be reached: {reason}{again}"))
        for note in notes[name]:
            click.echo(f"  {one_line(note)}")


def kept_notes(place: Target, service: str) -> list[str]:
    """What there is to know of the versions of a service that is kept up apart from runs."""
    from plimsoll.engine.taking_over import notes
    from plimsoll.targets.features import KEEP

    if KEEP not in place.features:
        return []
    keeper = place.features.require(KEEP)
    kept = keeper.kept().get(service)
    if kept is None:
        return []
    told = [kept.reason] if kept.reason and kept.state == "up" else []
    return [*told, *notes(place.state, service, kept, keeper.leading(service))]


def _going_on(run: RunHistory | None, points: Mapping[str, Mapping[str, float]]) -> list[str]:
    """For how long a run has been under way, and how far its trainings are."""
    if run is None or run.state != "running":
        return []
    told = [f"running for {run.elapsed():.0f} s"]
    for step, point in points.items():
        figures = ", ".join(f"{name} {value:.6g}" for name, value in point.items() if name != "step")
        told.append(f"{step}: step {point['step']:.6g}{', ' + figures if figures else ''}")
    return told


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
    told = summary(run, up, report if report.exists() else None, drift)
    services = told["services"]
    assert isinstance(services, dict)  # noqa: S101 - a section for each kind of part
    # A service may be up although the run has failed to test its newest version.
    for name, url in up.items():
        services.setdefault(name, {"url": url})
    return {**told, "seconds": round(run.elapsed(), 3)} if run.state == "running" else told
