"""`plimsoll plan`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from plimsoll.cli import completion
from plimsoll.cli.isolation_lines import isolation_lines, isolation_of
from plimsoll.cli.options import LOCAL, AskedRun, force_option, json_option, print_json, run_options
from plimsoll.cli.spanned_plan import place_of, print_places, spanned
from plimsoll.errors import FileError

if TYPE_CHECKING:
    from plimsoll.engine.preparation import Prepared
    from plimsoll.planning.changes import Decision
    from plimsoll.planning.steps import Work


@click.command("plan")
@click.argument("steps", metavar="[STEP]…", nargs=-1, shell_complete=completion.steps)
@run_options
@force_option
@click.option(
    "--output",
    type=click.Choice(["text", "yaml"]),
    default="text",
    show_default=True,
    help="yaml prints manifests of everything that keeps running, to commit to Git; it pushes images and models.",
)
@click.option(
    "--schedule",
    default=None,
    metavar="CRON",
    help="With --output yaml: a CronJob that runs the application, such as '0 3 * * *' in UTC, with its rights.",
)
@json_option
def command(
    asked: AskedRun, steps: tuple[str, ...], force: tuple[str, ...], output: str, schedule: str | None, as_json: bool
) -> None:
    """Print for each step, or for STEP and what it needs, whether a run would execute it, and why."""
    from plimsoll.engine.preparation import decide, missing_rights

    if schedule is not None and output != "yaml":
        raise FileError("--schedule is only for --output yaml", where="--schedule", hint="add --output yaml")
    prepared = asked.prepared(steps, force, unbarred=schedule is not None)
    if schedule is not None:
        _print_schedule(prepared, schedule, asked.settings, steps)
        return
    if output == "yaml":
        _print_manifests(prepared)
        return
    made = decide(prepared)
    lacking = missing_rights(prepared)
    print_json(_summary(prepared, made, lacking)) if as_json else _print_steps(prepared, made, lacking)


def _summary(prepared: Prepared, made: Sequence[Decision], lacking: Sequence[str]) -> dict[str, object]:
    planned = {step.name: step for step in prepared.plan.steps}
    return {
        "application": prepared.plan.application,
        "target": prepared.plan.target,
        "providers": _providers(prepared),
        "missing_rights": list(lacking),
        "steps": [
            {
                "name": decision.step,
                "key": planned[decision.step].key,
                "needs": planned[decision.step].needs,
                "runs": decision.runs,
                "why": decision.why,
                "note": prepared.plan.notes.get(decision.step),
                **isolation_of(prepared, decision.step),
                **_address(planned[decision.step].work),
                **place_of(prepared, planned[decision.step]),
            }
            for decision in made
        ],
        **spanned(prepared),
    }


def _providers(prepared: Prepared) -> dict[str, str]:
    """What carries which need. That nothing leads to replicas is said where there are some."""
    from plimsoll.kinds.serve import UNROUTED, Serve

    found = dict(prepared.facts.providers)
    works = (step.work for step in prepared.plan.steps)
    if prepared.plan.target != LOCAL and any(isinstance(work, Serve) and work.has_replicas for work in works):
        found.setdefault("routing", f"service: {UNROUTED}")
    return found


def _address(work: Work) -> dict[str, str]:
    """Where a service of this machine is to be, when the file says so."""
    from plimsoll.kinds.serve import Serve

    if not isinstance(work, Serve) or not work.port:
        return {}
    return {"address": f"http://[{work.host}]:{work.port}" if ":" in work.host else f"http://{work.host}:{work.port}"}


def _print_steps(prepared: Prepared, made: Sequence[Decision], lacking: Sequence[str]) -> None:
    from plimsoll.evidence.run_events import listed_targets

    width = max((len(decision.step) for decision in made), default=0)
    click.echo(f"{prepared.plan.application} on {listed_targets(prepared.plan.target, prepared.plan.names)}")
    for decision in made:
        click.echo(f"  {'run   ' if decision.runs else 'keep  '} {decision.step:<{width}}  {decision.why}")
    running = sum(decision.runs for decision in made)
    click.echo(f"{running} of {len(made)} steps would run")
    for step, note in prepared.plan.notes.items():
        click.echo(f"  note    {step}: {note}; name more files under `code`")
    print_places(prepared)
    for line in isolation_lines(prepared):
        click.echo(line)
    for planned in prepared.plan.steps if prepared.plan.target == LOCAL else ():
        if planned.target in ("", LOCAL) and (address := _address(planned.work)):
            click.echo(f"  address {planned.part}: {address['address']} while it is up")
    if prepared.plan.target != LOCAL:
        for need, choice in _providers(prepared).items():
            click.echo(f"  {need:<8} {choice}")
    for each in lacking:
        click.echo(f"  missing  the right to {each}")
    if lacking:
        click.echo("a run would be refused; `plimsoll run --print-rbac` prints what gives these rights")


def _print_schedule(prepared: Prepared, schedule: str, settings: Sequence[str], steps: Sequence[str]) -> None:
    import yaml

    from plimsoll.targets.features import SCHEDULE

    manifests = prepared.target.features.require(SCHEDULE)(prepared.file, prepared.plan, schedule, settings, steps)
    click.echo(yaml.safe_dump_all(manifests, sort_keys=False, width=120), nl=False)


def _print_manifests(prepared: Prepared) -> None:
    import yaml

    from plimsoll.targets.features import MANIFESTS

    manifests = prepared.target.features.require(MANIFESTS)(prepared.plan)
    click.echo(yaml.safe_dump_all(manifests, sort_keys=False, width=120), nl=False)
