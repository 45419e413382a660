"""`plimsoll up`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.attached_run import carry_out, to_stderr
from plimsoll.cli.interrupts import catch_stop_signals
from plimsoll.cli.options import (
    application_file,
    file_option,
    json_option,
    print_json,
    settings_option,
    target_is_given,
    target_option,
    use_colour,
    width,
)
from plimsoll.cli.terminal import one_line
from plimsoll.errors import TargetError

if TYPE_CHECKING:
    from plimsoll.engine.preparation import Prepared
    from plimsoll.kinds.serve import Serve
    from plimsoll.planning.steps import Step
    from plimsoll.targets.features import KeepsServices, KeptService


@click.command("up")
@click.argument("services", metavar="[SERVICE]…", nargs=-1)
@file_option
@target_option
@settings_option
@click.option("--detach", is_flag=True, help="Return at once; what must be trained first is trained in the background.")
@click.option("--run-id", default=None, hidden=True)
@json_option
def command(
    services: tuple[str, ...],
    file: Path,
    target: str,
    namespace: str | None,
    settings: tuple[str, ...],
    detach: bool,
    run_id: str | None,
    as_json: bool,
) -> int:
    """Keep all services up, or each SERVICE, in a process of their own that outlives the terminal.

    A service whose model has no accepted version yet is trained first. Otherwise nothing is trained: `plimsoll run`
    does that at any time, and the services move to the version that it registers.
    """
    from plimsoll.cli.exit_statuses import DONE, FAILED
    from plimsoll.engine.keeping import beginning, services_of
    from plimsoll.engine.preparation import prepare
    from plimsoll.targets.features import KEEP
    from plimsoll.targets.options import TargetOptions

    where = target if target_is_given() else None
    prepared = prepare(application_file(file), where, TargetOptions(namespace=namespace), settings=settings)
    click.get_current_context().call_on_close(prepared.target.close)
    keeper = prepared.target.features.require(KEEP)
    asked = services_of(prepared, services)
    _require_not_watched(prepared, [step.part for step in asked])
    begun = beginning(prepared, asked)
    failed, trained = DONE, None
    if begun.untrained:
        if detach:
            from plimsoll.cli.detached import detach as detached
            from plimsoll.engine.application_run import new_run_id

            then = f"; {', '.join(begun.untrained)} will be up after it"
            return detached(prepared.state, new_run_id(), as_json=as_json, then=then)
        failed, trained = _train(prepared, begun.untrained, settings, run_id, as_json)
        if failed and (failed > FAILED or not begun.ready):
            return failed
        begun = beginning(prepared, asked)
    before = {name: each for name, each in keeper.kept().items() if each.state == "up"}
    return _bring_up(prepared, begun.ready, asked, before, trained, wait=not detach, as_json=as_json) or failed


def _bring_up(
    prepared: Prepared,
    ready: Sequence[Step[Serve]],
    asked: Sequence[Step[Serve]],
    before: Mapping[str, KeptService],
    trained: str | None,
    *,
    wait: bool,
    as_json: bool,
) -> int:
    """Have the services kept up, wait for them, and tell how they are."""
    from plimsoll.cli.exit_statuses import DONE, SERVICE_DOWN
    from plimsoll.engine.keeping import await_services, keep_up, same_server
    from plimsoll.engine.taking_over import catch_up
    from plimsoll.targets.features import KEEP

    keeper = prepared.target.features.require(KEEP)
    wanted = set(keeper.kept())
    names = [step.part for step in ready]
    keep_up(prepared, ready, asked)
    caught = catch_stop_signals()

    def tell(name: str, kept: KeptService) -> None:
        if not as_json:
            already = name in before and before[name].url == kept.url and same_server(before[name].work, kept.work)
            for line in _lines(name, kept, already=already, keeper=keeper.keeper()):
                click.echo(line)

    if not wait:
        _print_kept(keeper, keeper.kept(), trained) if as_json else click.echo(
            f"{', '.join(names)} will be up, kept by {keeper.keeper()}; `plimsoll status` tells how they are"
        )
        return DONE
    kept = await_services(prepared, names, lambda: bool(caught), tell)
    if caught:
        to_stderr(
            f"let go; {keeper.keeper() or 'the keeper'} goes on: `plimsoll status` tells, `plimsoll down` ends it"
        )
        return 128 + caught[0]
    for late in catch_up(prepared, names, lambda: bool(caught)):
        to_stderr(late.text) if as_json else click.echo(late.text)
    fallen = [name for name in names if name not in kept or kept[name].state != "up"]
    if new := [name for name in fallen if name not in wanted]:
        # What did not come up at its first try is told here, and is not tried for ever behind the user's back.
        keeper.release(new)
    if as_json:
        _print_kept(keeper, kept, trained)
    elif not fallen:
        click.echo(
            "  kept after this terminal is closed; `plimsoll status` tells how they are, `plimsoll down` ends them"
        )
    return SERVICE_DOWN if fallen else DONE


def _lines(name: str, kept: KeptService, *, already: bool, keeper: str) -> list[str]:
    if kept.state != "up":
        return [one_line(f"{name} did not come up: {kept.reason}")]
    how = f"is up already at {kept.url}, kept by {keeper}" if already else f"is up at {kept.url}"
    lines = [f"{name} {how}  ({kept.work.how_to_ask})"]
    return [*lines, f"  {one_line(kept.reason)}"] if kept.reason else lines


def _print_kept(keeper: KeepsServices, kept: Mapping[str, KeptService], trained: str | None) -> None:
    versions = {name: f"{each.work.model.partition('@')[0]}@{keeper.leading(name)}" for name, each in kept.items()}
    services = {
        name: {"state": each.state, "url": each.url or None, "model": versions[name], "reason": each.reason}
        for name, each in kept.items()
    }
    print_json({"keeper": keeper.keeper(), "run": trained, "services": services})


def _require_not_watched(prepared: Prepared, names: Sequence[str]) -> None:
    """Raise TargetError for a service that a run with --watch has up now."""
    from plimsoll.targets.features import KEEP

    kept = prepared.target.features.require(KEEP).kept()
    for name, url in prepared.target.services().items():
        if name in names and name not in kept:
            raise TargetError(
                f"service {name} is up already, as long as a `plimsoll run --watch` goes on",
                where=url,
                hint="end that run with `plimsoll down`, then `plimsoll up`",
            )


def _train(
    prepared: Prepared, names: Sequence[str], settings: Sequence[str], run_id: str | None, as_json: bool
) -> tuple[int, str]:
    """Run what the services need; returns the exit status, 0 when they can be served, and the run."""
    from plimsoll.engine.application_run import ApplicationRun
    from plimsoll.engine.preparation import prepare
    from plimsoll.report.write import terminal_report, write_report

    steps = [f"serve/{name}" for name in names]
    first = prepare(prepared.file.path, prepared.target, settings=settings, steps=steps)
    run = ApplicationRun(first, run_id=run_id)
    history, caught = carry_out(run, as_json=as_json)
    write_report(first.state, run.id)
    for line in terminal_report(first.state, run.id, width(), use_colour()):
        to_stderr(line) if as_json else click.echo(line)
    if history.state == "done":
        return 0, run.id
    if caught:
        to_stderr("stopped; `plimsoll up` goes on from the finished steps and checkpoints")
    else:
        to_stderr(f"{', '.join(names)} did not come up: the run {history.state}; `plimsoll up` tries it again")
    return (128 + caught[0] if caught else 1), run.id
