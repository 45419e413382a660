"""What `plimsoll models` does with one version besides showing it: deletes it, or writes its code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.options import LOCAL, application_file, application_target, print_json
from plimsoll.cli.rows import amount
from plimsoll.errors import FileError

if TYPE_CHECKING:
    from plimsoll.registry.models import ModelRegistry


def require_one(references: Sequence[str], what: str, where: str, hint: str) -> None:
    """Raise FileError unless exactly one version is named."""
    if len(references) != 1:
        raise FileError(f"{what} needs exactly one version", where=where, hint=hint)


def require_two_at_most(references: Sequence[str]) -> None:
    """Raise FileError for more than two versions."""
    if len(references) > 2:
        raise FileError(
            "expected at most two models, got " + str(len(references)),
            where=" ".join(references),
            hint="name one model to show it, or two to compare them",
        )


def write_version_code(registry: ModelRegistry, references: Sequence[str], directory: Path, *, as_json: bool) -> None:
    """Write the code of one version, after its signature is verified."""
    from plimsoll.registry.code import write_code

    require_one(references, "code", "--code", "plimsoll models NAME@VERSION --code DIR")
    version = registry.find(references[0])
    registry.open(version)
    root, files = write_code(registry.layout, version, directory)
    left_out = version.lineage.left_out
    if as_json:
        found = {"version": version.reference, "application": str(root), "files": files, "left_out": left_out}
        print_json(found)
        return
    click.echo(f"wrote {len(files)} files of {version.reference}; the application's directory is {root}")
    for name, reason in left_out.items():
        click.echo(f"not stored: {name} ({reason})")


def delete(references: Sequence[str], file: Path, contexts: Sequence[str], *, asked: bool, as_json: bool) -> None:
    """Delete one version, and say what its model's name means now."""
    from plimsoll.engine.cleaning.deletion import delete_version
    from plimsoll.kinds.table import KINDS

    if not asked:
        raise FileError("--target is only for --delete", where="--target", hint="leave it out, or add --delete")
    require_one(references, "a deletion", "--delete", "plimsoll models NAME@NUMBER --delete")
    application = KINDS.load(application_file(file)).application
    places = [application_target(file, context) for context in (LOCAL, *dict.fromkeys(contexts))]
    done = delete_version(references[0], application, places[0], places[1:])
    if as_json:
        print_json(done)
        return
    name = done.version.partition("@")[0]
    now = f"`{name}` means {done.newest} now" if done.newest else f"'{name}' has no other version"
    click.echo(f"deleted {done.version}: {amount(done.size)} are free; {now}")
