"""`plimsoll run`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from plimsoll.cli import completion
from plimsoll.cli.attached_run import carry_out, to_stderr, told_report
from plimsoll.cli.options import (
    AskedRun,
    force_option,
    json_option,
    print_json,
    run_command,
    run_options,
    use_colour,
    width,
)
from plimsoll.cli.streams import discard_output
from plimsoll.errors import FileError

if TYPE_CHECKING:
    from plimsoll.engine.application_run import ApplicationRun
    from plimsoll.engine.history import RunHistory
    from plimsoll.engine.preparation import Prepared
    from plimsoll.state.directory import StateDirectory


@click.command("run")
@click.argument("steps", metavar="[STEP]…", nargs=-1, shell_complete=completion.steps)
@run_options
@force_option
@click.option(
    "--watch", is_flag=True, help="Keep services running until interrupted; plimsoll up keeps them up without a run."
)
@click.option("--detach", is_flag=True, help="Run in the background; plimsoll attach follows it.")
@click.option("--run-id", default=None, hidden=True)
@click.option(
    "--print-rbac",
    is_flag=True,
    help="Print the least rights that this file needs on the cluster, and do nothing else.",
)
@click.option("--user", "users", multiple=True, metavar="NAME", help="With --print-rbac: who gets them; repeatable.")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="With --print-rbac: a group; repeatable.")
@json_option
def command(
    asked: AskedRun,
    steps: tuple[str, ...],
    force: tuple[str, ...],
    watch: bool,
    detach: bool,
    run_id: str | None,
    print_rbac: bool,
    users: tuple[str, ...],
    groups: tuple[str, ...],
    as_json: bool,
) -> int:
    """Run the application, or resume an interrupted run. Finished steps are not repeated.

    STEP, such as train/triage or triage, runs only this step and what it needs. A step that is forced keeps its key, so
    that steps that need it keep their results: force them too, or the part by its name.
    """
    if (users or groups) and not print_rbac:
        named = "--user" if users else "--group"
        raise FileError(f"{named} is only for --print-rbac", where=named, hint="leave it out, or add --print-rbac")
    prepared = asked.prepared(steps, force, unbarred=print_rbac)
    if print_rbac:
        _print_roles(prepared, users, groups)
        return 0
    if detach:
        return _detach(prepared.state, as_json=as_json)
    again = run_command(asked.file, asked.target, asked.settings, steps, force)
    return _carry_out(prepared, again, watch=watch, run_id=run_id, as_json=as_json)


def _detach(state: StateDirectory, *, as_json: bool) -> int:
    from plimsoll.cli.detached import detach
    from plimsoll.engine.application_run import new_run_id
    from plimsoll.state.lock import require_free

    require_free(state.lock)
    return detach(state, new_run_id(), as_json=as_json)


def _carry_out(prepared: Prepared, again: str, *, watch: bool, run_id: str | None, as_json: bool) -> int:
    """Run to the end; `again` is the command that goes on with it."""
    from plimsoll.engine.application_run import ApplicationRun

    run = ApplicationRun(prepared, watch=watch, run_id=run_id)
    history, caught = carry_out(run, as_json=as_json, on_services_up=lambda _: _print_services(prepared, as_json))
    _print_end(run, history, as_json=as_json)
    if caught:
        resumed = f"stopped; `{again}` resumes from the finished steps and checkpoints"
        to_stderr(f"let go; {run.goes_on} goes on" if run.goes_on else resumed)
    if history.state == "done":
        return 1 if any(each.problem for each in run.taken_over) else 0
    return 128 + caught[0] if caught else 1


def _print_end(run: ApplicationRun, history: RunHistory, *, as_json: bool) -> None:
    from plimsoll.engine.summary import summary
    from plimsoll.report.write import terminal_report, write_report

    state = run.prepared.state
    report = write_report(state, run.id)
    _log_to_tracker(state, run.id)
    try:
        if as_json:
            print_json({**summary(history, {}, report), "taken_over": run.taken_over})
            return
        for line in terminal_report(state, run.id, width(), use_colour()):
            click.echo(line)
        click.echo(f"\nreport: {told_report(state, report)}")
    except OSError:
        # Nobody reads; the status of the run is still for whoever waits for it.
        discard_output()


def _print_roles(prepared: Prepared, users: tuple[str, ...], groups: tuple[str, ...]) -> None:
    import yaml

    from plimsoll.targets.features import RIGHTS

    found = prepared.target.features.require(RIGHTS).roles(prepared.plan, users, groups)
    click.echo(yaml.safe_dump_all(found, sort_keys=False, width=120), nl=False)


def _log_to_tracker(state: StateDirectory, run: str) -> None:
    """Log the run to the experiment tracker, if one is configured; an error is only a warning."""
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        return
    from plimsoll.errors import PlimsollError
    from plimsoll.report.experiments import log_to_mlflow

    try:
        to_stderr(f"logged to MLflow as run {log_to_mlflow(state, run, uri)}")
    except PlimsollError as error:
        to_stderr(f"warning: {error}")


def _print_services(prepared: Prepared, as_json: bool) -> None:
    from plimsoll.kinds.serve import Serve

    write = to_stderr if as_json else click.echo
    works = [step.work for step in prepared.plan.steps if isinstance(step.work, Serve)]
    asked = {work.service: work.how_to_ask for work in works}
    for name, url in prepared.target.services().items():
        write(f"  {name} is running at {url}  ({asked.get(name) or f'plimsoll predict {name} --input FILE'})")
    write("  Ctrl-C stops the run")
