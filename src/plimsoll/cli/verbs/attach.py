"""`plimsoll attach`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.attached_run import to_stderr
from plimsoll.cli.options import (
    application_state,
    file_option,
    json_option,
    print_json,
    target_option,
    use_colour,
    width,
)

if TYPE_CHECKING:
    from plimsoll.evidence.observation import Observation
    from plimsoll.state.directory import StateDirectory

POLL_INTERVAL = 0.1
"""Seconds between two looks at the journal."""
PAGE_LIMIT = 20.0
"""Seconds that a run has to write its page when its steps have ended."""


@click.command("attach")
@click.argument("run_id", metavar="[RUN]", default=None, required=False)
@file_option
@target_option
@json_option
def command(run_id: str | None, file: Path, target: str, namespace: str | None, as_json: bool) -> int:
    """Follow the run that is under way, or RUN, to its end. Ctrl-C lets go of it and leaves it running.

    RUN is a number or an id, as plimsoll runs prints it. A run that has ended is told from its beginning.
    """
    from plimsoll.cli.exit_statuses import exit_status
    from plimsoll.cli.progress import ProgressPrinter
    from plimsoll.engine.run_comparison import find_run
    from plimsoll.engine.run_status import run_status
    from plimsoll.engine.summary import summary
    from plimsoll.report.write import report_path, terminal_report

    state = application_state(file, target)
    run = run_status(state, find_run(state, run_id) if run_id else None).run
    carrier = _carrier(state, run)
    progress = ProgressPrinter(to_stderr if as_json else click.echo, state.logs(run))
    try:
        for seen in _followed(state, run):
            progress(seen)
    except KeyboardInterrupt:
        to_stderr(f"let go; run {run} goes on: `plimsoll attach` follows it again, `plimsoll down` stops it")
        return 130
    finally:
        progress.close()
    if carrier is not None:
        _await_page(report_path(state, run), carrier)
    ended = run_status(state, run)
    if as_json:
        report = report_path(state, run)
        print_json(summary(ended, {}, report if report.exists() else None))
    else:
        for line in terminal_report(state, run, width(), use_colour()):
            click.echo(line)
    return exit_status(ended.state, services_down=False)


def _carrier(state: StateDirectory, run: str) -> int | None:
    """The process that carries the run out."""
    from plimsoll.state.lock import holder

    who = holder(state.lock)
    return who.pid if who is not None and who.run == run else None


def _await_page(page: Path, carrier: int) -> None:
    """Wait until the process that carried the run out has written its page, or has ended without."""
    deadline = time.monotonic() + PAGE_LIMIT
    while not page.exists() and time.monotonic() < deadline:
        try:
            os.kill(carrier, 0)
        except OSError:
            return
        time.sleep(POLL_INTERVAL)


def _followed(state: StateDirectory, run: str) -> Iterator[Observation]:
    """The observations of a run as they come, until nobody carries it out any longer."""
    from plimsoll.evidence.journal import read_journal
    from plimsoll.state.lock import holder

    count, size = 0, -1
    while True:
        who = holder(state.lock)
        alive = who is not None and who.run == run
        now = state.journal(run).stat().st_size
        if now != size:
            size = now
            for number, seen in enumerate(read_journal(state.journal(run))):
                if number >= count:
                    count = number + 1
                    yield seen
        elif not alive:
            return
        if alive:
            time.sleep(POLL_INTERVAL)
