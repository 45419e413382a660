"""A run that is carried out in this process while its progress is printed; Ctrl-C and SIGTERM stop it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from plimsoll.cli.interrupts import catch_stop_signals

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.engine.application_run import ApplicationRun
    from plimsoll.engine.history import RunHistory
    from plimsoll.state.directory import StateDirectory


def carry_out(
    run: ApplicationRun, *, as_json: bool, on_services_up: Callable[[RunHistory], None] = lambda _: None
) -> tuple[RunHistory, list[int]]:
    """Carry a run out; returns its history and the numbers of the signals that came meanwhile."""
    from plimsoll.cli.progress import ProgressPrinter
    from plimsoll.report.write import preload_template

    caught = _stop_on_signals(run)
    progress = ProgressPrinter(to_stderr if as_json else click.echo, run.prepared.state.logs(run.id))
    preload_template()
    try:
        return run.carry_out(progress, on_services_up=on_services_up), caught
    finally:
        progress.close()


def to_stderr(text: str) -> None:
    """Print a line where no program reads, as long as somebody can read it."""
    with contextlib.suppress(OSError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def _stop_on_signals(run: ApplicationRun) -> list[int]:
    """Stop the run on SIGINT and SIGTERM; returns a list that receives the number of the signal."""

    def stop() -> None:
        if len(caught) == 1:
            to_stderr("stopping …")
        run.stop()

    caught = catch_stop_signals(stop)
    return caught


def told_report(state: StateDirectory, report: Path) -> str:
    """How a person comes to the page of a run: by its path, unless that is only there while something runs."""
    if report.is_relative_to(state.application):
        return str(report)
    return f"encrypted, as {state.shown(report)}; `plimsoll report --output report.html` writes it in clear"
