"""`plimsoll encryption`: the key under which what an application keeps is encrypted."""

from __future__ import annotations

from pathlib import Path

import click

from plimsoll.cli.options import application_file, application_state, file_option, json_option, print_json
from plimsoll.cli.rows import amount


@click.group("encryption")
def command() -> None:
    """The encryption at rest of what an application keeps: `spec.encryption` of its file."""


@command.command("show")
@file_option
@json_option
def show(file: Path, as_json: bool) -> None:
    """Say how what is kept is encrypted, under which key, and whether it is open now. Opens nothing."""
    from plimsoll.engine.encrypting import sealed_state

    about = sealed_state(application_file(file))
    if as_json:
        print_json(about)
        return
    if not about.encrypted:
        click.echo("what this application keeps is not encrypted")
        return
    click.echo(f"{about.files} sealed files, {amount(about.bytes)}, {about.cipher}, under key {about.key} ({about.by})")
    if about.open_in:
        click.echo(f"open now: {about.open_in}")
    elif not about.problem:
        click.echo("closed: nothing of it is in clear")
    if about.problem:
        click.echo(f"not sealed: {about.problem}")


@command.command("key")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@json_option
def key(path: Path, as_json: bool) -> None:
    """Make a new key in FILE, which only you may read."""
    from plimsoll.vault.key_sources import make_key

    made = make_key(path.expanduser())
    if as_json:
        print_json({"file": str(path), "key": made})
    else:
        click.echo(
            f"key {made} in {path}: without it nothing that is sealed under it can be opened; keep a copy elsewhere"
        )


@command.command("rotate")
@file_option
@click.option(
    "--old-key",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE",
    help="The key so far, where it is not any more where it was.",
)
@json_option
def rotate(file: Path, old_key: Path | None, as_json: bool) -> None:
    """Put what is kept under the key that the file names now. No data is written again; services go on."""
    from plimsoll.engine.encrypting import rotate_key
    from plimsoll.kinds.table import KINDS

    before, after = rotate_key(KINDS.load(application_file(file)), old_key)
    if as_json:
        print_json({"from": before, "to": after})
    else:
        click.echo(f"under key {after} now, not under key {before} any more")


@command.command("remove")
@file_option
@json_option
def remove(file: Path, as_json: bool) -> None:
    """Decrypt what is kept, for good. Take `encryption` out of the file too, or the next run encrypts it again."""
    from plimsoll.engine.encrypting import remove_encryption

    state = remove_encryption(application_file(file))
    if as_json:
        print_json({"state": str(state)})
    else:
        click.echo(f"in clear now: {state}")


@command.command("export")
@click.argument("directory", type=click.Path(path_type=Path))
@file_option
@json_option
def export(directory: Path, file: Path, as_json: bool) -> None:
    """Write the newest files of each step to DIRECTORY, in clear."""
    from plimsoll.engine.encrypting import export_latest

    files = export_latest(application_state(file), directory)
    if as_json:
        print_json({"directory": str(directory), "files": files})
    else:
        click.echo(f"{len(files)} files in clear in {directory}")
