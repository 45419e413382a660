"""`plimsoll models --openssf` and `--check-openssf`: signatures in the format of the OpenSSF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.model_actions import require_one
from plimsoll.cli.options import print_json
from plimsoll.errors import FileError, ModelRefused, TargetError

if TYPE_CHECKING:
    from plimsoll.registry.models import ModelRegistry
    from plimsoll.registry.versions import ModelVersion


def sign_openssf(registry: ModelRegistry, references: Sequence[str], file: Path, *, as_json: bool) -> None:
    """Write a signature about a version that a trusted key has signed. None of its files is read."""
    from plimsoll.files import replace_file
    from plimsoll.supply.openssf import sign_files

    require_one(references, "a signature", "--openssf", "plimsoll models NAME@VERSION --openssf FILE")
    version = registry.find(references[0])
    registry.envelope(version)
    content = sign_files(version.reference, _digests(version), registry.keys)
    try:
        replace_file(file, content)
    except OSError as error:
        raise TargetError(f"the signature cannot be written: {error.strerror}", where=str(file)) from error
    key = registry.keys.own_key()
    if as_json:
        print_json({"version": version.reference, "file": str(file), "key": key.keyid, "files": len(version.files)})
        return
    click.echo(f"wrote {file}: {len(version.files)} files of {version.reference}, signed with the key {key.keyid[:16]}")
    if key.keytype != "ecdsa":
        click.echo("model-signing, which reads ECDSA alone, needs another key: plimsoll key rotate --algorithm ecdsa")


def hold_against_openssf(registry: ModelRegistry, references: Sequence[str], file: Path, *, as_json: bool) -> None:
    """Verify a signature, and hold a version or a directory against it."""
    from plimsoll.files import open_regular
    from plimsoll.supply.openssf import MOST_BYTES, PASSED_OVER, check_files, files_of, open_bundle

    hint = "plimsoll models NAME@VERSION --check-openssf FILE, or a directory in place of the version"
    require_one(references, "a signature", "--check-openssf", hint)
    try:
        with open_regular(file) as opened:
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise FileError(f"the signature cannot be read: {error.strerror}", where=str(file)) from error
    if len(content) > MOST_BYTES:
        raise ModelRefused(f"the signature has more than {MOST_BYTES} bytes", where=str(file))
    try:
        signed = open_bundle(content, registry.keys)
    except ModelRefused as error:
        raise ModelRefused(error.message, where=error.where or str(file), hint=error.hint) from error
    directory = Path(references[0])
    if directory.is_dir():
        # The signature may lie beside the files, and so may what the signer passed over.
        beside = (directory / file.name,) if file.parent.resolve() == directory.resolve() else ()
        ignored = (*beside, *(directory / name for name in PASSED_OVER if name in signed.ignored))
        check_files(signed, files_of(directory, ignored), str(directory))
    else:
        version = registry.find(references[0])
        registry.open(version)
        check_files(signed, _digests(version), version.reference)
    if as_json:
        print_json(
            {"verified": references[0], "model": signed.name, "key": signed.signed_by, "files": len(signed.files)}
        )
        return
    click.echo(
        f"{references[0]} has the {len(signed.files)} files that {signed.signed_by[:16]} has signed as {signed.name}"
    )


def _digests(version: ModelVersion) -> dict[str, str]:
    return {name: entry.digest.removeprefix("sha256:") for name, entry in version.files.items()}
