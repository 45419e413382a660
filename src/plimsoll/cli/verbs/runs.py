"""`plimsoll runs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli import completion
from plimsoll.cli.options import application_state, file_option, json_option, print_json, target_option
from plimsoll.cli.rows import number, print_rows, value_text
from plimsoll.errors import FileError, PlimsollError

if TYPE_CHECKING:
    from plimsoll.engine.history import RunHistory
    from plimsoll.engine.run_comparison import RunComparison
    from plimsoll.state.curves import Series
    from plimsoll.state.directory import StateDirectory

MOST = 20
FIGURES = 3
"""Figures of a run in the list; the others are shown with the run."""


@click.command("runs")
@click.argument("names", metavar="[RUN [OTHER]]", nargs=-1, shell_complete=completion.runs)
@file_option
@target_option
@click.option("-n", "--limit", type=click.IntRange(1), default=MOST, show_default=True, help="The newest runs to list.")
@json_option
def command(names: Sequence[str], file: Path, target: str, namespace: str | None, limit: int, as_json: bool) -> None:
    """List runs, newest first; show one, by its number or its id; or compare two.

    For example `plimsoll runs`, `plimsoll runs 3`, `plimsoll runs 3 5`.
    """
    from plimsoll.engine.curves import curves_of
    from plimsoll.engine.run_comparison import find_run
    from plimsoll.engine.run_status import run_status

    state = application_state(file, target)
    if len(names) > 2:
        raise FileError(
            f"expected at most two runs, got {len(names)}",
            where=" ".join(names),
            hint="name one run to show it, or two to compare them",
        )
    runs = [run_status(state, find_run(state, name)) for name in names]
    if len(runs) == 2:
        comparison = _compare(state, runs[0], runs[1])
        print_json(comparison) if as_json else _print_comparison(comparison, *names)
        return
    if runs:
        curves = curves_of(state, runs[0].steps)
        print_json({**_entry(runs[0]), "curves": curves}) if as_json else _print_one(runs[0], curves)
        return
    listed = _newest(state, limit)
    print_json({"runs": [_entry(run) for run in listed]}) if as_json else _print_all(listed)


def _newest(state: StateDirectory, limit: int) -> list[RunHistory]:
    """The newest runs whose journal has a plan."""
    from plimsoll.engine.run_status import run_status

    found: list[RunHistory] = []
    for run in reversed(state.run_ids()):
        try:
            found.append(run_status(state, run))
        except PlimsollError:
            # It was killed before its plan was written, or its journal is damaged.
            continue
        if len(found) == limit:
            break
    return found


def _compare(state: StateDirectory, first: RunHistory, second: RunHistory) -> RunComparison:
    from plimsoll.engine.run_comparison import compare_runs, planned_run

    plans = planned_run(state, first.run), planned_run(state, second.run)
    assert plans[0] is not None  # noqa: S101 - a run without a plan has no history
    assert plans[1] is not None  # noqa: S101 - as above
    return compare_runs((first, second), (plans[0], plans[1]))


def _entry(run: RunHistory) -> dict[str, object]:
    from plimsoll.engine.summary import summary

    started = run.started.isoformat() if run.started else None
    figures = {step.name: dict(step.metrics) for step in run.steps if step.metrics}
    known = {"number": run.number, "started": started, "parameters": dict(run.parameters), "figures": figures}
    return {**summary(run, {}, None), **known}


def _print_all(runs: Sequence[RunHistory]) -> None:
    rows = [("RUN", "STARTED", "STATE", "TIME", "STEPS", "PARAMETERS", "FIGURES")]
    for run in runs:
        ran = sum(not step.cached for step in run.steps if step.state == "done")
        rows.append(
            (
                str(run.number or run.run),
                f"{run.started:%Y-%m-%d %H:%M}" if run.started else "",
                run.state,
                f"{run.seconds:.1f} s" if run.ended else "",
                f"{ran} of {len(run.steps)}",
                _parameters(run),
                ", ".join(f"{name} {value:.4g}" for name, value in _figures(run)[:FIGURES]),
            )
        )
    print_rows(rows)


def _print_one(run: RunHistory, curves: Mapping[str, Series]) -> None:
    click.echo(f"run {run.number}  {run.run}  {run.application} on {run.target}")
    click.echo(f"  {run.state}{f': {run.reason}' if run.reason else ''}")
    if run.started:
        ended = f", {run.seconds:.1f} s" if run.ended else ""
        click.echo(f"  started {run.started:%Y-%m-%d %H:%M:%S} UTC{ended}")
    for name, value in run.parameters.items():
        click.echo(f"  parameter {name} = {run.sweep.get(name) or value_text(value)}")
    rows = [("  STEP", "STATE", "TIME", "FIGURES")]
    for step in run.steps:
        state = "cached" if step.cached else step.state
        figures = ", ".join(f"{name} {value:.4g}" for name, value in step.metrics.items())
        rows.append(
            (
                f"  {step.name}",
                state,
                "" if step.cached else f"{step.seconds:.1f} s",
                step.reason.partition("\n")[0] or figures,
            )
        )
    print_rows(rows)
    for model, series in curves.items():
        for name, points in series.items():
            first, last = points[0], points[-1]
            click.echo(
                f"  curve {model} {name}: {len(points)} points, {number(first[1])} at step {number(first[0])} "
                f"to {number(last[1])} at step {number(last[0])}"
            )


def _print_comparison(comparison: RunComparison, first: str, second: str) -> None:
    other_data = comparison.changed.get("data", ())
    rows = [("", f"run {first}", f"run {second}", "DIFFERENCE")]
    for name, (left, right) in comparison.parameters.items():
        rows.append((name, value_text(left), value_text(right), ""))
    for name, (left, right) in comparison.figures.items():
        difference = None if left is None or right is None or other_data else right - left
        rows.append((name, number(left), number(right), number(difference, sign=True)))
    for name, (left, right) in comparison.seconds.items():
        rows.append((f"{name} seconds", number(left), number(right), ""))
    print_rows(rows)
    if comparison.figures and other_data:
        click.echo("the figures are not compared: the data of the two runs differ")
    for kind, names in comparison.changed.items():
        click.echo(f"{kind} changed: {', '.join(names)}" if names else f"{kind}: the same")


def _parameters(run: RunHistory) -> str:
    if run.sweep:
        return "sweep of " + ", ".join(f"{name}={values}" for name, values in run.sweep.items())
    return ", ".join(f"{name}={value_text(value)}" for name, value in run.parameters.items())


def _figures(run: RunHistory) -> list[tuple[str, float]]:
    """The figures of what was trained, or else of any step; of a sweep those of its winner."""
    verb = "register" if run.sweep else "train"
    steps = [step for step in run.steps if step.verb == verb] or list(run.steps)
    return [figure for step in steps for figure in step.metrics.items() if not figure[0].startswith("baseline_")]
