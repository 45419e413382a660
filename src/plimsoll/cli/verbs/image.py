"""`plimsoll image`: signatures of images and artifacts in registries, as cosign has them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.exit_statuses import DONE, FAILED
from plimsoll.cli.options import json_option, print_json

if TYPE_CHECKING:
    from plimsoll.registry.cosign import Form

_FORM = click.option(
    "--form",
    "form",
    type=click.Choice(["bundle", "tag", "both"]),
    default="both",
    show_default=True,
    help="bundle is cosign 3's (a referrer), tag that of cosign 2 (sha256-….sig).",
)


@click.group("image")
def command() -> None:
    """Sign images and artifacts of registries with your key, and verify them, as cosign does."""


@command.command("sign")
@click.argument("references", metavar="REFERENCE…", nargs=-1, required=True)
@_FORM
@json_option
def sign(references: Sequence[str], form: str, as_json: bool) -> None:
    """Sign what lies at each REFERENCE (registry/repository:TAG or @sha256:…) with your key."""
    from plimsoll.registry.cosign import sign_artifact
    from plimsoll.registry.references import parse_reference
    from plimsoll.registry.repository import Repository
    from plimsoll.signing.keys import KeyRing

    keys = KeyRing.default()
    done: list[dict[str, object]] = []
    for text in references:
        with Repository(parse_reference(text)) as repository:
            digest = repository.manifest().digest
            made = sign_artifact(repository, digest, keys, _forms(form))
        reference = str(repository.reference.at(digest))
        done.append({"reference": reference, "key": keys.own_id(), "signed": made})
        if not as_json:
            click.echo(f"{reference}  {'signed as ' + ' and '.join(made) if made else 'was signed with this key'}")
    if as_json:
        print_json({"images": done})


@command.command("verify")
@click.argument("references", metavar="REFERENCE…", nargs=-1, required=True)
@_FORM
@click.option(
    "--keys",
    type=click.Path(path_type=Path, exists=True),
    default=None,
    metavar="PATH",
    help="Trusted keys: a file or directory of JSON or PEM; by default those of your key ring.",
)
@json_option
def verify(references: Sequence[str], form: str, keys: Path | None, as_json: bool) -> int:
    """Find a signature of a trusted key for what lies at each REFERENCE.

    Exit status: 0 all are signed, 1 one is not.
    """
    from plimsoll.errors import ModelRefused
    from plimsoll.registry.cosign import verify_artifact
    from plimsoll.registry.references import parse_reference
    from plimsoll.registry.repository import Repository
    from plimsoll.signing.keys import KeyFiles, KeyRing

    trusted = KeyFiles(keys) if keys is not None else KeyRing.default()
    found: list[dict[str, object]] = []
    refused = False
    for text in references:
        with Repository(parse_reference(text)) as repository:
            digest = repository.manifest().digest
            reference = str(repository.reference.at(digest))
            try:
                signed = verify_artifact(repository, digest, trusted, _forms(form))
            except ModelRefused as error:
                refused = True
                found.append({"reference": reference, "refused": error.message, "hint": error.hint})
                told = f"refused: {error.message}"
            else:
                found.append({"reference": reference, "key": signed.signed_by, "form": signed.form})
                told = f"signed by {signed.signed_by[:16]} ({signed.form})"
        if not as_json:
            click.echo(f"{reference}  {told}")
    if as_json:
        print_json({"images": found})
    return FAILED if refused else DONE


def _forms(form: str) -> tuple[Form, ...]:
    from plimsoll.registry.cosign import FORMS

    return tuple(each for each in FORMS if form in {each, "both"})
