"""`plimsoll sweep`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from plimsoll.cli import completion
from plimsoll.cli.attached_run import carry_out, to_stderr, told_report
from plimsoll.cli.options import AskedRun, json_option, print_json, run_command, run_options
from plimsoll.cli.sweep_table import print_sweep, sweep_summary

if TYPE_CHECKING:
    from plimsoll.engine.sweep.asked import SweepWish
    from plimsoll.engine.sweep.sweep_run import SweepRun


class _Searched(TypedDict):
    """The options that say what is searched, by their names in `SweepWish`."""

    model: str | None
    grid: tuple[str, ...]
    random: tuple[str, ...]
    optuna: tuple[str, ...]
    trials: int | None
    objective: str | None
    maximize: bool | None
    parallel: int | None
    stop_early: str | None
    grace: float
    seed: int
    tag: str | None
    retry_failed: bool


@click.command("sweep")
@click.argument("model", required=False, shell_complete=completion.models)
@click.option(
    "--grid",
    multiple=True,
    shell_complete=completion.parameters,
    metavar="NAME=A,B,…",
    help="Try each of these values; repeatable.",
)
@click.option(
    "--random",
    multiple=True,
    shell_complete=completion.parameters,
    metavar="NAME=LOW:HIGH",
    help="Draw values: LOW:HIGH, log:LOW:HIGH or A,B,…; repeatable.",
)
@click.option(
    "--optuna",
    multiple=True,
    shell_complete=completion.parameters,
    metavar="NAME=LOW:HIGH",
    help="As --random, with values that Optuna asks for.",
)
@click.option("--trials", type=click.IntRange(1, 100_000), help="Number of trials; by default the grid, or 20.")
@click.option("--objective", metavar="FIGURE", help="Figure of metrics.json; by default the first one of `accept`.")
@click.option("--maximize/--minimize", "maximize", default=None, help="Which way is better; by default as in `accept`.")
@click.option("--parallel", type=click.IntRange(1, 64), help="Most trials at once; by default as many as fit.")
@click.option(
    "--stop-early", metavar="SERIES", help="Stop trials by the median rule on a series of metrics.jsonl: loss:min."
)
@click.option("--grace", type=click.FloatRange(0), default=0.0, help="Stop none before this step of the series.")
@click.option("--seed", type=int, default=0, show_default=True, help="Other seeds draw other values.")
@click.option("--tag", default=None, help="Tag the version that is registered.")
@click.option("--retry-failed", is_flag=True, help="Try again what failed in an earlier sweep of the same.")
@run_options
@json_option
def command(asked: AskedRun, as_json: bool, **searched: Unpack[_Searched]) -> int:
    """Train MODEL with many values of its parameters, and register the best trial that is accepted.

    For example `plimsoll sweep --grid rounds=50,100 --random rate=log:1e-3:1e-1 --trials 12`. The same command goes
    on with a sweep that was interrupted: trials that have ended are not done again.
    """
    from plimsoll.engine.sweep.asked import SweepWish, sweep_run

    wish = SweepWish(settings=asked.settings, **searched)
    run = sweep_run(wish, asked.path, asked.where, asked.options())
    click.get_current_context().call_on_close(run.prepared.target.close)
    return _carry_out(run, wish, asked, as_json=as_json)


def _carry_out(run: SweepRun, wish: SweepWish, asked: AskedRun, *, as_json: bool) -> int:
    from plimsoll.engine.sweep.asked import register_winner
    from plimsoll.report.write import write_report

    def serves(chosen: Sequence[str]) -> str:
        return run_command(asked.path, asked.target, [*asked.settings, *chosen])

    history, caught = carry_out(run, as_json=as_json)
    version = register_winner(run, history, wish.tag)
    report = write_report(run.prepared.state, run.id)
    if as_json:
        print_json(sweep_summary(run.sweep, history, version, str(report)))
    else:
        click.echo("")
        print_sweep(run.sweep, version, serves)
        click.echo(f"\nreport: {told_report(run.prepared.state, report)}")
    if caught:
        to_stderr("stopped; the same command goes on: trials that have ended are not done again")
        return 128 + caught[0]
    return 0 if history.state == "done" else 1
