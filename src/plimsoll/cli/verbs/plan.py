"""`plimsoll plan`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from plimsoll.cli import completion
from plimsoll.cli.isolation_lines import isolation_lines, isolation_of
from plimsoll.cli.options import LOCAL, AskedRun, force_option, json_option, print_json, run_options
from plimsoll.cli.policy_lines import print_policies
from plimsoll.cli.spanned_plan import place_of, print_places, spanned
from plimsoll.cli.terminal import one_line
from plimsoll.errors import FileError

if TYPE_CHECKING:
    from plimsoll.engine.preparation import Prepared
    from plimsoll.planning.changes import Decision
    from plimsoll.planning.steps import Work
    from plimsoll.policy.findings import Judged


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
    from plimsoll.engine.policies.gate import gate_of
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
    gate = gate_of(prepared)
    judged = gate.judge_plan() if gate is not None else ()
    if as_json:
        print_json(_summary(prepared, made, lacking, judged))
        return
    _print_steps(prepared, made, lacking)
    print_policies(judged)


def _summary(
    prepared: Prepared, made: Sequence[Decision], lacking: Sequence[str], judged: Sequence[Judged]
) -> dict[str, object]:
    planned = {step.name: step for step in prepared.plan.steps}
    return {
        "application": prepared.plan.application,
        "target": prepared.plan.target,
        "providers": _providers(prepared),
        "missing_rights": list(lacking),
        **({"policies": judged} if judged else {}),
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
                **_callers(planned[decision.step].work),
                **place_of(prepared, planned[decision.step]),
            }
            for decision in made
        ],
        "purposes": _purposes(prepared),
        "expired": _expired(prepared),
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


def _purposes(prepared: Prepared) -> dict[str, str]:
    """What datasets are kept for, as the file says."""
    from plimsoll.kinds.dataset import DATASETS

    return {name: part.purpose for name, part in DATASETS.of(prepared.file.application).items() if part.purpose}


def _expired(prepared: Prepared) -> list[str]:
    """What is older than its dataset may keep it."""
    from plimsoll.kinds.dataset import DATASETS

    if not any(part.retention for part in DATASETS.of(prepared.file.application).values()):
        return []
    from plimsoll.engine.erasing.expiring import expired_notes

    return expired_notes(prepared.file, prepared.target)


def _address(work: Work) -> dict[str, str]:
    """Where a service of this machine is to be, when the file says so."""
    from plimsoll.kinds.serve import Serve

    if not isinstance(work, Serve) or not work.port:
        return {}
    scheme = "https" if work.tls is not None else "http"
    return {"address": f"{scheme}://{f'[{work.host}]' if ':' in work.host else work.host}:{work.port}"}


def _callers(work: Work) -> dict[str, str]:
    """Who may ask a service."""
    from plimsoll.kinds.serve import Serve

    return {"callers": work.callers or "everybody who reaches it"} if isinstance(work, Serve) else {}


def _lines_of_target(prepared: Prepared) -> Iterator[str]:
    """Where services of this machine are while they are up; whom those of a cluster answer, and what it provides."""
    if prepared.plan.target == LOCAL:
        for planned in prepared.plan.steps:
            if planned.target in ("", LOCAL) and (address := _address(planned.work)):
                yield f"  address {planned.part}: {address['address']} while it is up"
        return
    for planned in prepared.plan.steps:
        for callers in _callers(planned.work).values():
            yield f"  callers  {planned.part}: {callers}"
    for need, choice in _providers(prepared).items():
        yield f"  {need:<8} {choice}"


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
    for name, purpose in _purposes(prepared).items():
        click.echo(one_line(f"  purpose {name}: {purpose}"))
    for note in _expired(prepared):
        click.echo(one_line(f"  expired {note}"))
    print_places(prepared)
    for line in isolation_lines(prepared):
        click.echo(line)
    for line in _lines_of_target(prepared):
        click.echo(line)
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

    from plimsoll.engine.policies.manifests import require_objects
    from plimsoll.targets.features import MANIFESTS

    manifests = prepared.target.features.require(MANIFESTS)(prepared.plan)
    require_objects(prepared.file, manifests)
    click.echo(yaml.safe_dump_all(manifests, sort_keys=False, width=120), nl=False)
