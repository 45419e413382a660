"""`plimsoll sweep`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli import completion
from plimsoll.cli.interrupts import catch_stop_signals
from plimsoll.cli.options import (
    application_file,
    file_option,
    json_option,
    print_json,
    provider_options,
    run_command,
    settings_option,
    target_option,
)
from plimsoll.cli.sweep_table import print_sweep, sweep_summary
from plimsoll.errors import FileError

if TYPE_CHECKING:
    from plimsoll.engine.history import RunHistory
    from plimsoll.engine.preparation import Prepared
    from plimsoll.engine.sweep.sweep_run import SweepRun
    from plimsoll.registry.versions import ModelVersion


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
@file_option
@target_option
@provider_options
@settings_option
@json_option
def command(
    model: str | None,
    grid: tuple[str, ...],
    random: tuple[str, ...],
    optuna: tuple[str, ...],
    trials: int | None,
    objective: str | None,
    maximize: bool | None,
    parallel: int | None,
    stop_early: str | None,
    grace: float,
    seed: int,
    tag: str | None,
    retry_failed: bool,
    file: Path,
    target: str,
    namespace: str | None,
    registry: str | None,
    base: str | None,
    prefer: tuple[str, ...],
    settings: tuple[str, ...],
    as_json: bool,
) -> int:
    """Train MODEL with many values of its parameters, and register the best trial that is accepted.

    For example `plimsoll sweep --grid rounds=50,100 --random rate=log:1e-3:1e-1 --trials 12`. The same command goes
    on with a sweep that was interrupted: trials that have ended are not done again.
    """
    from plimsoll.engine.preparation import prepare, with_parameters
    from plimsoll.engine.sweep.median_rule import MedianRule
    from plimsoll.engine.sweep.objective import objective_of, series_of
    from plimsoll.engine.sweep.space import space_of
    from plimsoll.engine.sweep.sweep_run import SweepRequest, SweepRun, model_to_sweep
    from plimsoll.kinds.model import MODELS
    from plimsoll.kinds.table import KINDS
    from plimsoll.registry.models import require_tag
    from plimsoll.targets.options import TargetOptions

    if tag is not None:
        require_tag(tag)
    path = application_file(file)
    loaded = with_parameters(KINDS.load(path), settings)
    name = model_to_sweep(loaded, model)
    space = space_of(loaded.application.parameters, grid=grid, random=random, optuna=optuna)
    if twice := [each for each in settings if each.partition("=")[0] in space.names]:
        raise FileError(f"'{twice[0]}' is searched", where="--set", hint="leave it out, or search something else")
    wanted = objective_of(objective, maximize, MODELS.of(loaded.application)[name].accept, name)
    if grace and not stop_early:
        raise FileError("--grace is only for --stop-early", where="--grace", hint="leave it out, or add --stop-early")
    rule = MedianRule(series=series_of(stop_early, wanted), grace=grace) if stop_early else None
    request = SweepRequest(
        model=name,
        space=space,
        objective=wanted,
        trials=trials,
        seed=seed,
        parallel=parallel,
        rule=rule,
        retry_failed=retry_failed,
    )
    options = TargetOptions(namespace=namespace, registry=registry, base=base, prefer=prefer)
    prepared = prepare(path, target, options, settings=settings, steps=(f"register/{name}",))
    click.get_current_context().call_on_close(prepared.target.close)

    def serves(chosen: Sequence[str]) -> str:
        return run_command(path, target, [*settings, *chosen])

    return _carry_out(SweepRun(prepared, request), prepared, tag, serves=serves, as_json=as_json)


def _carry_out(
    run: SweepRun, prepared: Prepared, tag: str | None, *, serves: Callable[[Sequence[str]], str], as_json: bool
) -> int:
    from plimsoll.cli.progress import ProgressPrinter
    from plimsoll.report.write import write_report

    def stop() -> None:
        _to_stderr("stopping …")
        run.stop()

    caught = catch_stop_signals(stop)
    progress = ProgressPrinter(_to_stderr if as_json else click.echo, prepared.state.logs(run.id))
    try:
        history = run.carry_out(progress)
    finally:
        progress.close()
    version = _registered(prepared, run, history, tag)
    report = write_report(prepared.state, run.id)
    if as_json:
        print_json(sweep_summary(run.sweep, history, version, str(report)))
    else:
        click.echo("")
        print_sweep(run.sweep, version, serves)
        click.echo(f"\nreport: {report}")
    if caught:
        _to_stderr("stopped; the same command goes on: trials that have ended are not done again")
        return 128 + caught[0]
    return 0 if history.state == "done" else 1


def _registered(prepared: Prepared, run: SweepRun, history: RunHistory, tag: str | None) -> ModelVersion | None:
    from plimsoll.kinds.model import RegisterResult
    from plimsoll.targets.models import model_registry

    if history.state != "done":
        return None
    result = history.step(f"register/{run.request.model}").result
    assert isinstance(result, RegisterResult)  # noqa: S101 - the step of that verb is done
    registry = model_registry(prepared.state)
    version = registry.find(f"{run.request.model}@{result.version}")
    if tag is not None:
        registry.tag(version, tag)
    return version


def _to_stderr(text: str) -> None:
    with contextlib.suppress(OSError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
