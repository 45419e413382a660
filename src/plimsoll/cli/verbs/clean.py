"""`plimsoll clean`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.options import (
    LOCAL,
    application_file,
    application_state,
    application_target,
    file_option,
    json_option,
    on_target,
    print_json,
    target_option,
)
from plimsoll.cli.rows import amount, print_rows

if TYPE_CHECKING:
    from plimsoll.engine.cleaning.cleaning import Cleaned

NAMED = 3
"""Things of a kind that are named; `--json` has all."""


@click.command("clean")
@file_option
@target_option
@click.option("--keep", type=click.IntRange(1), default=10, show_default=True, help="The newest runs to keep.")
@click.option("--yes", is_flag=True, help="Remove it. Without this, nothing is removed.")
@json_option
def command(file: Path, target: str, namespace: str | None, keep: int, yes: bool, as_json: bool) -> None:
    """Print what no run, service or version needs any more, with its size; remove it with --yes.

    Kept are the newest runs with all that they need to be resumed, services that are up with the versions of a
    rollback, and every version that was accepted or has a tag. On a cluster, what finished runs left there goes too.
    """
    from plimsoll.engine.cleaning.cleaning import Cleaning

    application_state(file, target)
    cleaning = Cleaning(application_target(file, target, namespace), keep)
    cleaned = cleaning.carry_out() if yes else cleaning.find()
    if as_json:
        print_json(
            {"removed": yes, "keep": keep, "bytes": cleaned.size, "items": _items(cleaned), "notes": cleaned.notes}
        )
    else:
        _print(cleaned, file, target, keep, yes=yes)


def _items(cleaned: Cleaned) -> list[dict[str, object]]:
    return [{"kind": each.kind, "name": each.name, "bytes": each.size} for each in cleaned.removals]


def _print(cleaned: Cleaned, file: Path, target: str, keep: int, *, yes: bool) -> None:
    kinds: dict[str, list[tuple[str, int]]] = {}
    for each in cleaned.removals:
        kinds.setdefault(each.kind, []).append((each.name, each.size))
    if kinds:
        click.echo("removed:" if yes else "would remove:")
        print_rows(
            [
                (
                    f"  {kind}",
                    str(len(found)),
                    amount(sum(size for _, size in found)),
                    _named([name for name, _ in found]),
                )
                for kind, found in kinds.items()
            ]
        )
    else:
        click.echo(f"nothing is to be removed {on_target(target)}")
    for note in cleaned.notes:
        click.echo(note)
    if kinds and yes:
        click.echo(f"{amount(cleaned.size)} are free now")
    elif kinds:
        words = ["plimsoll clean", *(["-f", str(file)] if application_file(file).name != str(file) else [])]
        words += ["--target", target] if target != LOCAL else []
        click.echo(
            f"nothing was removed: `{' '.join([*words, '--keep', str(keep), '--yes'])}` frees {amount(cleaned.size)}"
        )


def _named(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(name[:24] for name in names[:NAMED])}{more}"
