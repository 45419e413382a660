"""`plimsoll plan`."""

from __future__ import annotations

from pathlib import Path

import click

from plimsoll.cli.options import application_file, file_option, json_option, print_json


@click.command("plan")
@file_option
@click.option("--target", default="local", show_default=True, help="Where it would run.")
@json_option
def command(file: Path, target: str, as_json: bool) -> None:
    """Print what a run would do with each step, and why."""
    from plimsoll.engine.preparation import decide, prepare

    prepared = prepare(application_file(file), target)
    made = decide(prepared)
    if as_json:
        steps = {step.name: step for step in prepared.plan.steps}
        print_json(
            {
                "application": prepared.plan.application,
                "target": prepared.plan.target,
                "steps": [
                    {
                        "name": decision.step,
                        "key": steps[decision.step].key,
                        "needs": steps[decision.step].needs,
                        "runs": decision.runs,
                        "why": decision.why,
                    }
                    for decision in made
                ],
            }
        )
        return
    wide = max((len(decision.step) for decision in made), default=0)
    click.echo(f"{prepared.plan.application} on {prepared.plan.target}")
    for decision in made:
        click.echo(f"  {'run   ' if decision.runs else 'keep  '} {decision.step:<{wide}}  {decision.why}")
    running = sum(decision.runs for decision in made)
    click.echo(f"{running} of {len(made)} steps would run")
