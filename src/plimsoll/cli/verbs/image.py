"""`plimsoll image`: signatures of images and artifacts in registries, as cosign has them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.exit_statuses import DONE, FAILED
from plimsoll.cli.options import json_option, print_json

if TYPE_CHECKING:
    from plimsoll.registry.cosign import Form, LogPlace, SignedArtifact
    from plimsoll.signing.notes import LogKey

_FORM = click.option(
    "--form",
    "form",
    type=click.Choice(["bundle", "tag", "both"]),
    default="both",
    show_default=True,
    help="bundle is cosign 3's (a referrer), tag that of cosign 2 (sha256-….sig).",
)
_REKOR_KEY = click.option(
    "--rekor-key",
    "rekor_key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=None,
    metavar="FILE",
    help="Public key of the log, in PEM.",
)


@click.group("image")
def command() -> None:
    """Sign images and artifacts of registries with your key, and verify them, as cosign does."""


@command.command("sign")
@click.argument("references", metavar="REFERENCE…", nargs=-1, required=True)
@_FORM
@click.option("--rekor", default=None, metavar="URL", help="Have this log take the signature; needs --rekor-key.")
@click.option(
    "--rekor-api", type=click.Choice(["v1", "v2"]), default="v2", show_default=True, help="What the log speaks."
)
@_REKOR_KEY
@click.option("--again", is_flag=True, help="Sign it with the present time, also where this key has signed it.")
@json_option
def sign(
    references: Sequence[str],
    form: str,
    rekor: str | None,
    rekor_api: str,
    rekor_key: Path | None,
    again: bool,
    as_json: bool,
) -> None:
    """Sign what lies at each REFERENCE (registry/repository:TAG or @sha256:…) with your key."""
    from plimsoll.registry.cosign import sign_artifact
    from plimsoll.registry.references import parse_reference
    from plimsoll.registry.repository import Repository
    from plimsoll.signing.keys import KeyRing

    keys, log = KeyRing.default(), _log_place(rekor, rekor_api, rekor_key)
    done: list[dict[str, object]] = []
    for text in references:
        with Repository(parse_reference(text)) as repository:
            digest = repository.manifest().digest
            made = sign_artifact(repository, digest, keys, _forms(form), log, again=again)
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
@_REKOR_KEY
@json_option
def verify(references: Sequence[str], form: str, keys: Path | None, rekor_key: Path | None, as_json: bool) -> int:
    """Find a signature of a trusted key for what lies at each REFERENCE. With --rekor-key, a log has to have it too.

    Exit status: 0 all are signed, 1 one is not.
    """
    from plimsoll.errors import ModelRefused
    from plimsoll.registry.cosign import verify_artifact
    from plimsoll.registry.references import parse_reference
    from plimsoll.registry.repository import Repository
    from plimsoll.signing.keys import KeyFiles, KeyRing

    trusted = KeyFiles(keys) if keys is not None else KeyRing.default()
    log = _log_key(rekor_key) if rekor_key is not None else None
    found: list[dict[str, object]] = []
    refused = False
    for text in references:
        with Repository(parse_reference(text)) as repository:
            digest = repository.manifest().digest
            reference = str(repository.reference.at(digest))
            try:
                signed = verify_artifact(repository, digest, trusted, _forms(form), log)
            except ModelRefused as error:
                refused = True
                found.append({"reference": reference, "refused": error.message, "hint": error.hint})
                told = f"refused: {error.message}"
            else:
                found.append({"reference": reference, **_described(signed)})
                told = f"signed by {signed.signed_by[:16]} ({signed.form}){_logged(signed)}"
        if not as_json:
            click.echo(f"{reference}  {told}")
    if as_json:
        print_json({"images": found})
    return FAILED if refused else DONE


def _forms(form: str) -> tuple[Form, ...]:
    from plimsoll.registry.cosign import FORMS

    return tuple(each for each in FORMS if form in {each, "both"})


def _described(signed: SignedArtifact) -> dict[str, object]:
    return {"key": signed.signed_by, "form": signed.form, **({"logged": signed.logged} if signed.logged else {})}


def _logged(signed: SignedArtifact) -> str:
    where = signed.logged
    return f", entry {where.index} of {where.size} in the log {where.origin}" if where is not None else ""


def _log_place(url: str | None, api: str, key: Path | None) -> LogPlace | None:
    from plimsoll.errors import FileError
    from plimsoll.registry.cosign import LogPlace

    if url is None:
        if key is not None:
            raise FileError("the key of a log is given, and no log", where="--rekor-key", hint="add --rekor URL")
        return None
    if key is None:
        hint = "add --rekor-key FILE: nothing counts of what a log says that its key has not signed"
        raise FileError("the log is given without its key", where="--rekor", hint=hint)
    return LogPlace(url=url, api="v1" if api == "v1" else "v2", key=_log_key(key))


def _log_key(path: Path) -> LogKey:
    from plimsoll.errors import FileError, ModelRefused
    from plimsoll.signing.notes import LogKey

    try:
        with path.open("rb") as file:
            return LogKey(file.read(1 << 16))
    except ModelRefused as error:
        raise FileError(error.message, where=str(path), hint=error.hint) from error
    except OSError as error:
        raise FileError(f"the key of the log cannot be read: {error.strerror}", where=str(path)) from error
