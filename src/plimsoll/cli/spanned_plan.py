"""What a plan over several targets says beside its steps: where each runs and why, what travels, which rows stay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from plimsoll.cli.rows import amount
from plimsoll.cli.terminal import one_line

if TYPE_CHECKING:
    from plimsoll.engine.preparation import Prepared
    from plimsoll.engine.travelling import Travelling
    from plimsoll.planning.steps import AnyStep


def place_of(prepared: Prepared, step: AnyStep) -> dict[str, object]:
    """Where a step runs and why, for other programs; empty where there is one target."""
    found: dict[str, object] = {}
    if step.target:
        found = {"target": step.target, "target_why": prepared.plan.whys.get(step.name, "")}
    return {**found, **({"stays": step.stays} if step.stays else {})}


def spanned(prepared: Prepared) -> dict[str, object]:
    """The targets, those that do not answer, and what travels, for other programs; empty where there is one target."""
    if not prepared.plan.names:
        return {}
    from plimsoll.engine.travelling import travelling

    return {
        "targets": {
            name: {"name": prepared.plan.names[name], "providers": dict(part.providers), "away": part.away}
            for name, part in prepared.facts.parts.items()
        },
        "travels": travelling(prepared),
        **({"failovers": failovers} if (failovers := list(_failovers(prepared))) else {}),
    }


def _failovers(prepared: Prepared) -> Iterator[dict[str, object]]:
    """Services whose requests go to another target while their own servers do not answer; times are in seconds."""
    from plimsoll.kinds.failover import FailOver

    names = prepared.plan.names
    for step in prepared.plan.steps:
        if isinstance(step.work, FailOver):
            work = step.work
            where = {"target": names.get(step.target, step.target), "to": work.to}
            yield {"service": work.service, **where, "after": work.after, "back": work.back, "standby": work.standby}


def print_places(prepared: Prepared) -> None:
    """Print it; nothing where there is one target."""
    plan = prepared.plan
    if not plan.names:
        return
    from plimsoll.engine.travelling import travelling

    width = max((len(step.name) for step in plan.steps), default=0)
    for step in plan.steps:
        stays = f"; its rows stay on {plan.names.get(step.stays, step.stays)}" if step.stays else ""
        where = f"{plan.names.get(step.target, step.target)}: {plan.whys.get(step.name, '')}{stays}"
        click.echo(one_line(f"  where   {step.name:<{width}}  {where}"))
    for over in _failovers(prepared):
        times = f"after {over['after']:g} s without a ready server, back after {over['back']:g} s with one"
        click.echo(one_line(f"  over    {over['service']}: from {over['target']} to {over['to']} {times}"))
    for each in travelling(prepared):
        click.echo(one_line(f"  travels {each.step:<{width}}  {_journey(prepared, each)}"))
    for name, part in prepared.facts.parts.items():
        if part.away:
            click.echo(one_line(f"  away    {plan.names[name]} does not answer, and its steps would wait: {part.away}"))
        elif name != plan.target:
            for need, choice in part.providers.items():
                click.echo(one_line(f"  {need:<8} {choice} (on {plan.names[name]})"))


def _journey(prepared: Prepared, each: Travelling) -> str:
    names = prepared.plan.names
    size = f", {amount(each.size)}" if each.size is not None else ", not made yet"
    digest = f", {each.digest[:19]}" if each.digest else ""
    there = "; it is there already" if each.there else ""
    what = "the model" if each.model else "its files"
    way = f"from {names.get(each.origin, each.origin)} to {names.get(each.to, each.to)}"
    return f"{what} {way} for {', '.join(each.needed_by)}{size}{digest}{there}"
