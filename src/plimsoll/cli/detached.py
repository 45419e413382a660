"""Starts this command again as a process of its own, which outlives the terminal."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.options import print_json
from plimsoll.errors import TargetError
from plimsoll.targets.detached import DetachedProcess
from plimsoll.waits import waiting_for

if TYPE_CHECKING:
    from plimsoll.state.directory import StateDirectory

OPTION = "--detach"
RUN_OPTION = "--run-id"
BEGIN_LIMIT = 60.0
"""Seconds that a detached run has to write its plan."""
TICK = 0.05


def output_of(state: StateDirectory, run: str) -> Path:
    """What the process of a detached run prints."""
    return state.runs / run / "output.log"


def _has_plan(state: StateDirectory, run: str) -> bool:
    """Whether the first line of the run's journal is there: without it nobody can tell of the run."""
    try:
        return state.journal(run).stat().st_size > 0
    except OSError:
        return False


def detach(state: StateDirectory, run: str, *, as_json: bool, then: str = "") -> int:
    """Start the command without `--detach` in a session of its own; returns the exit status when its run has begun.

    Raises TargetError when it does not begin. A command that ends at once is told as if it had run here.
    """
    state.make()
    log = output_of(state, run)
    log.parent.mkdir(parents=True, exist_ok=True)
    words = [word for word in sys.argv[1:] if word != OPTION]
    # Without -P the modules of the present directory would come before Python's own.
    argv = [sys.executable, "-P", "-m", "plimsoll", *words, RUN_OPTION, run]
    process = DetachedProcess(argv, log)
    deadline = time.monotonic() + BEGIN_LIMIT
    with waiting_for(f"run {run} to begin"):
        while not _has_plan(state, run):
            if process.ended() is not None:
                break
            if time.monotonic() > deadline:
                raise TargetError(f"run {run} did not begin within {BEGIN_LIMIT:g} s", where=str(log))
            time.sleep(TICK)
    if (status := process.ended()) is not None:
        sys.stdout.write(log.read_text(encoding="utf-8", errors="replace"))
        return status
    process.let_go()
    if as_json:
        print_json({"run": run, "pid": process.pid, "output": str(log)})
    else:
        click.echo(f"run {run} goes on in process {process.pid}{then}")
        click.echo("  `plimsoll attach` follows it, `plimsoll down` stops it")
    return 0
