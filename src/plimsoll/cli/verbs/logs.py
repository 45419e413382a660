"""`plimsoll logs`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli import completion
from plimsoll.cli.options import application_state, file_option, json_option, print_json, target_option
from plimsoll.cli.terminal import one_line
from plimsoll.errors import PlimsollError

if TYPE_CHECKING:
    from plimsoll.engine.history import RunHistory

POLL_INTERVAL = 0.2
"""Seconds between two checks for new lines."""


@click.command("logs")
@click.argument("step", default="", shell_complete=completion.steps)
@file_option
@click.option(
    "--run",
    "run_id",
    default=None,
    shell_complete=completion.runs,
    help="Number or id of a run, as plimsoll runs prints it; by default the newest.",
)
@target_option
@click.option("-F", "--follow", is_flag=True, help="Keep printing new lines until the run ends.")
@json_option
def command(
    step: str,
    file: Path,
    run_id: str | None,
    target: str,
    namespace: str | None,
    follow: bool,
    as_json: bool,
) -> None:
    """Print the output of all steps, or of STEP, for example train/triage."""
    from plimsoll.engine.run_comparison import find_run
    from plimsoll.engine.run_status import run_status
    from plimsoll.state.logs import kept_logs, log_files

    state = application_state(file, target)
    run = run_status(state, find_run(state, run_id) if run_id else None)
    # The server of a kept service belongs to no run: it is shown to who asks for the service.
    kept = list(kept_logs(state.service_logs)) if step and run_id is None else []
    names = list(dict.fromkeys([*(known.name for known in run.steps), *(log.step for log in kept)]))
    wanted = [name for name in names if step in (name, name.partition("/")[2], "")]
    if not wanted:
        raise PlimsollError(f"run {run.run} has no step '{step}'", hint=f"its steps are: {', '.join(names)}")
    directory = state.logs(run.run)
    if as_json:
        logs = [log for log in (*log_files(directory), *kept) if log.step in wanted]
        print_json({"run": run.run, "logs": [_as_json(log) for log in logs]})
        return
    positions: dict[Path, int] = {}
    told: dict[str, str] = {}
    while True:
        run = run_status(state, run.run)
        running = follow and run.state == "running"
        _tell_waits(run, wanted, told)
        for log in (*log_files(directory), *kept):
            if log.step in wanted:
                positions[log.path] = _print_from(log, positions.get(log.path, 0))
        if not running:
            break
        time.sleep(POLL_INTERVAL)
    if not positions:
        cached = [known.name for known in run.steps if known.name in wanted and known.cached]
        reason = (
            f"{', '.join(cached)} did not run again (cached)" if cached else "the steps have not written any output yet"
        )
        click.echo(f"no logs in run {run.run}: {reason}", err=True)


def _tell_waits(run: RunHistory, wanted: Sequence[str], told: dict[str, str]) -> None:
    """Say what running steps wait for, when it is new; on the stream that no program reads."""
    for name, awaited in run.awaited():
        if name in wanted and awaited != told.get(name):
            told[name] = awaited
            click.echo(one_line(f"{name} waits: {awaited}"), err=True)


def _print_from(log: object, position: int) -> int:
    """Print the lines after a position in the file; returns the new position."""
    from plimsoll.state.logs import LogFile

    assert isinstance(log, LogFile)  # noqa: S101 - typed late to keep the import late
    with log.path.open("rb") as file:
        file.seek(position)
        content = file.read()
    to_terminal = sys.stdout.isatty()
    for written in content.decode(errors="replace").splitlines():
        line = one_line(written) if to_terminal else written
        click.echo(f"{log.step} {log.attempt}-{log.process} │ {line}")
    return position + len(content)


def _as_json(log: object) -> dict[str, object]:
    from plimsoll.state.logs import LogFile

    assert isinstance(log, LogFile)  # noqa: S101 - typed late to keep the import late
    text = log.path.read_text(encoding="utf-8", errors="replace")
    return {"step": log.step, "attempt": log.attempt, "process": log.process, "path": str(log.path), "text": text}
