"""`plimsoll models --card`: the card of a version, printed or written into a directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.model_actions import require_one
from plimsoll.cli.options import print_json
from plimsoll.errors import FileError

if TYPE_CHECKING:
    from plimsoll.registry.models import ModelRegistry
    from plimsoll.state.directory import StateDirectory
    from plimsoll.targets.cards import CardFound


def show_card(
    registry: ModelRegistry,
    state: StateDirectory,
    references: Sequence[str],
    directory: Path | None,
    *,
    as_json: bool,
) -> None:
    """Print the card of one version, or write it as Markdown and JSON; version and card are verified first."""
    from plimsoll.supply.card_text import markdown
    from plimsoll.targets.cards import read_card

    option = "--card" if directory is None else "--card-to DIR"
    require_one(references, "a card", option.partition(" ")[0], f"plimsoll models NAME@VERSION {option}")
    version = registry.find(references[0])
    registry.open(version)
    found = read_card(registry, version, state)
    text = markdown(found.card, found.signed_by, found.drift)
    if directory is not None:
        files = _write(directory, f"{version.name}-{version.version}", text, found)
        print_json({"files": list(map(str, files))}) if as_json else click.echo("\n".join(map(str, files)))
    elif as_json:
        print_json(found)
    else:
        click.echo(text, nl=False)


def _write(directory: Path, name: str, text: str, found: CardFound) -> list[Path]:
    """Raises FileError when the directory cannot be written."""
    import msgspec

    from plimsoll.files import replace_file

    contents = {
        directory / f"{name}.card.md": text.encode(errors="backslashreplace"),
        directory / f"{name}.card.json": msgspec.json.format(msgspec.json.encode(found)) + b"\n",
    }
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path, content in contents.items():
            replace_file(path, content)
    except OSError as error:
        hint = "name a directory that can be written"
        raise FileError(f"the card cannot be written: {error.strerror}", where=str(directory), hint=hint) from error
    return list(contents)
