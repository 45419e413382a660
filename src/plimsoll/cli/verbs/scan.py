"""`plimsoll scan`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.exit_statuses import DONE, FAILED, NOT_KNOWN
from plimsoll.cli.options import file_option, json_option, print_json
from plimsoll.errors import FileError

if TYPE_CHECKING:
    from plimsoll.engine.scanning import Scan


@click.command("scan")
@click.argument("things", metavar="[MODEL|PATH]…", nargs=-1)
@file_option
@click.option(
    "--database",
    type=click.Path(path_type=Path),
    default=None,
    metavar="PATH",
    help="Advisories of OSV: a directory or zip archive of JSON files.",
)
@click.option(
    "--complete",
    is_flag=True,
    help="The database has every advisory of the index: packages that it does not name are clean.",
)
@click.option("--allow", multiple=True, metavar="MODULE.NAME", help="A global that pickles of models may name too.")
@json_option
def command(
    things: Sequence[str],
    file: Path,
    database: Path | None,
    complete: bool,
    allow: Sequence[str],
    as_json: bool,
) -> int:
    """Scan packages for known vulnerabilities, and model files for what would run when they are loaded.

    Without arguments: the environment of the application and the newest version of each model. MODEL is a version
    such as triage@2; PATH is a model file, a directory of model files, or a Python environment.

    Exit status: 0 all is clean, 1 something is vulnerable or unsafe, 3 something is not known.
    """
    from plimsoll.engine.scanning import scan
    from plimsoll.supply.advisories import read_database

    if complete and database is None:
        hint = "add --database PATH, or leave --complete out"
        raise FileError("--complete says something of a database, and none is named", where="--complete", hint=hint)
    known = read_database(database) if database is not None else None
    done = scan(things, file, known, complete=complete, allow=allow)
    print_json(_answer(done)) if as_json else _print(done)
    found = done.counts
    if found["vulnerable"] or found["unsafe"]:
        return FAILED
    return DONE if found["clean"] and not found["unknown"] else NOT_KNOWN


def _answer(done: Scan) -> dict[str, object]:
    counts = done.counts
    known = done.database
    return {
        "counts": counts,
        "coverage": done.coverage,
        "database": {
            "path": known.where,
            "advisories": known.count,
            "withdrawn": known.withdrawn,
            "other_ecosystems": known.others,
            "unreadable": known.unreadable,
            "complete": done.complete,
        }
        if known
        else None,
        "packages": [
            {
                "of": each.of,
                "name": one.package.name,
                "version": one.package.version,
                "verdict": one.finding.verdict,
                "reasons": one.finding.reasons,
                "vulnerabilities": one.vulnerabilities,
            }
            for each in done.environments
            for one in each.packages
        ],
        "files": [{"of": each.of, **_file(one)} for each in done.models for one in each.files],
        "gaps": done.gaps,
    }


def _file(finding: object) -> dict[str, object]:
    import msgspec

    found: dict[str, object] = msgspec.to_builtins(finding)
    return {"path": found.pop("what"), **found}


def _print(done: Scan) -> None:
    for environment in done.environments:
        click.echo(f"packages of {environment.of}")
        for one in environment.packages:
            _print_finding(one.finding.verdict, one.finding.what, one.finding.reasons, ())
    for model in done.models:
        click.echo(f"files of {model.of}")
        for each in model.files:
            _print_finding(each.verdict, each.what, each.reasons, each.notes)
    for gap in done.gaps:
        click.echo(f"not scanned: {gap}")
    counts = done.counts
    click.echo(", ".join(f"{number} {verdict}" for verdict, number in counts.items()))
    known = done.database
    if known is not None:
        click.echo(
            f"database {known.where}: {known.count} advisories, {known.withdrawn} withdrawn, {known.others} of other"
            f" ecosystems, {len(known.unreadable)} files that cannot be read"
        )
        if done.complete:
            click.echo("packages that it does not name count as clean, because you said that it is complete")
    click.echo(f"coverage {done.coverage:.0%}: the share of things of which it is known what they are")


def _print_finding(verdict: str, what: str, reasons: Sequence[str], notes: Sequence[str]) -> None:
    from plimsoll.cli.terminal import one_line

    click.echo(f"  {verdict:<10} {one_line(what)}")
    for each in (*reasons, *(f"note: {note}" for note in notes)):
        click.echo(f"             {one_line(each)}")
