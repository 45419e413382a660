"""The trials of a sweep in the terminal, and as the object that `--json` prints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from plimsoll.cli.rows import number, print_rows, value_text
from plimsoll.cli.terminal import one_line

if TYPE_CHECKING:
    from plimsoll.engine.history import RunHistory
    from plimsoll.engine.sweep.trials import Sweep
    from plimsoll.registry.versions import ModelVersion

REASON = 80
"""Characters of a reason in the table; the log of the training and `--json` have all of it."""


def print_sweep(sweep: Sweep, version: ModelVersion | None, serves: Callable[[Sequence[str]], str]) -> None:
    """Print a row for each trial, best first, and what was registered. `serves` is the command with these settings."""
    from plimsoll.engine.sweep.space import settings_of

    names = list(sweep.planned.searched)
    rows = [("TRIAL", *names, sweep.planned.objective, "TIME", "")]
    for trial in sweep.ranked():
        values = (value_text(trial.parameters.get(name)) for name in names)
        took = "" if trial.state == "running" else f"{trial.seconds:.1f} s"
        rows.append((str(trial.number), *values, number(trial.value), took, one_line(trial.note)[:REASON]))
    print_rows(rows)
    best = sweep.best
    if best is None:
        click.echo("no trial is accepted: nothing is registered")
    elif version is None:
        click.echo(f"the best so far is trial {best.number}")
    else:
        click.echo(f"registered {version.reference}: trial {best.number}, the {sweep.objective.words}")
        click.echo(f"`{serves(settings_of(best.parameters))}` serves it; spec.parameters keeps its values")


def sweep_summary(sweep: Sweep, history: RunHistory, version: ModelVersion | None, report: str) -> dict[str, object]:
    """The sweep for other programs."""
    best = sweep.best
    return {
        "run": history.run,
        "state": history.state,
        "reason": history.reason,
        "model": sweep.planned.model,
        "objective": sweep.planned.objective,
        "maximize": sweep.planned.maximize,
        "trials": [
            {
                "number": trial.number,
                "parameters": dict(trial.parameters),
                "state": trial.state,
                "value": trial.value,
                "figures": dict(trial.figures),
                "accepted": trial.accepted,
                "refusals": list(trial.refusals),
                "reason": trial.reason,
                "seconds": round(trial.seconds, 3),
            }
            for trial in sweep.ranked()
        ],
        "best": best.number if best else None,
        "version": version.version if version else None,
        "report": report,
    }
