"""What `plimsoll key` does to the ring of the caller."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.errors import FileError, TargetError

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

    from plimsoll.registry.models import ModelRegistry
    from plimsoll.registry.rotating import RotatedRegistries
    from plimsoll.signing.conditions import Conditions
    from plimsoll.signing.keys import KeyRing
    from plimsoll.signing.rotation import Rotated

FEWEST_DIGITS = 8
"""Digits of a key's id that name it."""


def key_named(keys: KeyRing, text: str) -> str:
    """The id of the one trusted key that begins with a text. Raises FileError."""
    ids = sorted({path.stem for place in (keys.trusted, keys.revoked) for path in place.glob("*.json")})
    found = [each for each in ids if text and each.startswith(text.lower())]
    if len(found) == 1 and (len(text) >= FEWEST_DIGITS or found[0] == text):
        return found[0]
    listed = ", ".join(each[:16] for each in (found or ids)[:8]) or "none"
    if found and len(text) < FEWEST_DIGITS:
        raise FileError(f"'{text}' is too short for a key", hint=f"give at least {FEWEST_DIGITS} digits of: {listed}")
    problem = f"{len(found)} keys begin with '{text}'" if found else f"there is no key '{text[:80]}' here"
    raise FileError(problem, where=str(keys.trusted), hint=f"the keys are {listed}")


def require_read_here(keys: KeyRing) -> None:
    """Raise TargetError where another process holds the key."""
    if (socket := keys.holder()) is not None:
        hint = "end the holder with Ctrl-C; where it is another user's, that user rotates, and you name it again"
        raise TargetError("the signing key is held by another process", where=str(socket), hint=hint)
    if uri := keys.token():
        hint = "make another key there, and sign with it: plimsoll key use --token URI; others trust it by its file"
        raise TargetError("the signing key is in a token, which gives it to nobody", where=uri[:200], hint=hint)


def rotate_here(
    keys: KeyRing,
    registries: Sequence[ModelRegistry],
    *,
    bundles: Sequence[Path] = (),
    new_key: CryptoSigner | None = None,
    expires: datetime | None = None,
    scopes: tuple[str, ...] = (),
    password: bytes | None = None,
    accept_index: bool = False,
) -> RotatedRegistries:
    """Rotate the ring's key, and sign with it what the old one had signed in registries. Raises PlimsollError."""
    from plimsoll.registry.rotating import rotate_for
    from plimsoll.signing.rotation import rotate

    require_read_here(keys)
    listed = {_digest_of_bundle(each, keys) for each in bundles}
    old_password = password_of(keys.private, "Password of the present key") if keys.private.exists() else None

    def rotated(also: Collection[str]) -> Rotated:
        return rotate(
            keys,
            also={*also, *listed},
            new_key=new_key,
            expires=expires,
            scopes=scopes,
            old_password=old_password,
            password=password,
        )

    own = keys.own_id()
    end = keys.conditions(own).expires if keys.public_exists(own) else None
    expired = end is not None and datetime.now(UTC) >= end
    return rotate_for(registries, own, rotated, accept_index=accept_index, expired=expired)


def _digest_of_bundle(directory: Path, keys: KeyRing, *, old: bool = False) -> str:
    """The digest of a bundle's list of files, whose signature still counts. Raises PlimsollError."""
    from plimsoll.evidence.bundle import ENVELOPE, check_seal
    from plimsoll.signing.claims import claim_of
    from plimsoll.signing.dsse import open_envelope

    seal = check_seal(directory, keys, old=old)
    if seal.problems:
        raise FileError(f"the bundle is not as it was signed: {seal.problems[0]}", where=str(directory))
    opened = open_envelope((directory / ENVELOPE).read_bytes())
    return claim_of(opened.payload_type, opened.payload).digest


def say_rotated(keys: KeyRing, done: RotatedRegistries) -> None:
    """Print what a rotation has done."""
    rotated = done.rotated
    click.echo(f"the signing key is {rotated.new}")
    if done.signed:
        click.echo(f"{len(done.signed)} versions of this registry are signed with it too")
    if rotated.countersigned:
        statement = keys.directory / "rotations" / f"{rotated.old}.json"
        click.echo(
            f"{rotated.signed} statements of the key {rotated.old[:16]} still count, and none that it signs from now on"
        )
        click.echo(f"others who trust it take the new one with: plimsoll key trust {statement}")
    else:
        click.echo(f"the key {rotated.old[:16]} was lost and could not vouch for it; others trust it by its file:")
        click.echo(f"  {keys.trusted / rotated.new}.json")


def password_of(path: Path, prompt: str, file: Path | None = None) -> bytes | None:
    """The password of an encrypted key: from a file, the variable, or the terminal. None for one that is plain."""
    from plimsoll.files import open_regular
    from plimsoll.signing.private_keys import MOST_BYTES, PASSWORD, is_encrypted

    try:
        with open_regular(path) as opened:
            encrypted = is_encrypted(opened.read(MOST_BYTES))
    except OSError as error:
        raise TargetError(f"the key cannot be read: {error.strerror}", where=str(path)) from error
    if not encrypted:
        return None
    if file is not None:
        return read_password(file)
    if os.environ.get(PASSWORD):
        return os.environ[PASSWORD].encode()
    return asked(prompt).encode()


def new_password(file: Path | None) -> bytes:
    """A password for a key that is about to be encrypted. Raises FileError for an empty one."""
    from plimsoll.signing.private_keys import PASSWORD

    if file is not None:
        return read_password(file)
    if os.environ.get(PASSWORD):
        return os.environ[PASSWORD].encode()
    return asked("New password", confirm=True).encode()


def read_password(file: Path) -> bytes:
    """The first line of a file. Raises FileError."""
    try:
        found = file.read_bytes().split(b"\n")[0].rstrip(b"\r")
    except OSError as error:
        raise FileError(f"the password cannot be read: {error.strerror}", where=str(file)) from error
    if not found:
        raise FileError("the file has no password in its first line", where=str(file))
    return found


def asked(prompt: str, *, confirm: bool = False) -> str:
    """A password from the terminal. Raises FileError where there is none."""
    from plimsoll.signing.private_keys import PASSWORD

    if not sys.stdin.isatty():
        hint = f"name a file (--password-file FILE), or set {PASSWORD}"
        raise FileError("a password is needed, and there is no terminal to ask for it", hint=hint)
    return str(click.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True))


def end_of(days: int | None, date: str | None) -> datetime | None:
    """When a key expires, by a number of days or by a date. Raises FileError."""
    if days is not None:
        return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
    if date is None:
        return None
    try:
        found = datetime.fromisoformat(date)
    except ValueError as error:
        raise FileError(
            f"'{date[:40]}' is no date", where="--expires", hint="for example 2027-06-30, or with T12:00"
        ) from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def require_scopes(scopes: Sequence[str]) -> tuple[str, ...]:
    """Scopes as they are kept. Raises FileError for one that is none."""
    from plimsoll.signing.claims import scope_problem

    for scope in scopes:
        if problem := scope_problem(scope):
            raise FileError(
                problem, where="--scope", hint="for example models:triage*, registry, bundles or states:cabs"
            )
    return tuple(dict.fromkeys(scopes))


def imported_key(path: Path) -> CryptoSigner:
    """A private key that was made elsewhere. Raises TargetError for one that cannot be used."""
    from plimsoll.signing.private_keys import load

    password = password_of(path, f"Password of {path.name}")
    try:
        signer = load(path, password)
    except (OSError, ValueError, TypeError) as error:
        hint = "it has to be a private key in PEM: Ed25519, or ECDSA on P-256, P-384 or P-521"
        raise TargetError(f"the key cannot be used: {error}", where=str(path), hint=hint) from error
    if signer.public_key.keytype not in ("ed25519", "ecdsa"):
        hint = "use one of Ed25519, or ECDSA on P-256, P-384 or P-521"
        raise FileError(f"a key of the kind {signer.public_key.keytype} cannot sign here", where=str(path), hint=hint)
    return signer


def vouch_for(keys: KeyRing, key_id: str, registries: Sequence[ModelRegistry], bundles: Sequence[Path]) -> int:
    """Let what a retired key has signed there count, though no log has it. Returns how many statements are new."""
    from msgspec.structs import replace

    from plimsoll.registry.rotating import statements_of

    before = keys.conditions(key_id)
    if before.retired is None or before.revoked is not None:
        what = "is revoked" if before.revoked is not None else "was not rotated away"
        hint = "vouch for what a key had signed before it was rotated: `plimsoll key show` lists the keys"
        raise FileError(f"the key {key_id[:16]} {what}", where=str(keys.trusted / f"{key_id}.json"), hint=hint)
    found = {_digest_of_bundle(each, keys, old=True) for each in bundles}
    for registry in registries:
        found |= statements_of(registry, key_id, old=True)
    new = found - set(before.retired.signed)

    def vouched(present: Conditions) -> Conditions:
        retired = present.retired
        if retired is None:
            return present
        return replace(present, retired=replace(retired, signed=tuple(sorted({*retired.signed, *found}))))

    keys.change_conditions(key_id, vouched)
    return len(new)


def registries_of(files: Sequence[Path]) -> list[ModelRegistry]:
    """The registries of applications: of those that were named, or of the one in this directory."""
    from plimsoll.cli.options import FILE, application_state
    from plimsoll.targets.models import model_registry

    named = list(files) or ([Path(FILE)] if Path(FILE).is_file() else [])
    return [model_registry(application_state(each)) for each in named]


def rewrite_key(password_file: Path | None, *, encrypt: bool) -> None:
    """Encrypt the file of the signing key, or write it plain. Raises PlimsollError."""
    from plimsoll.signing import private_keys
    from plimsoll.signing.keys import KeyRing

    keys = KeyRing.default()
    require_read_here(keys)
    if not keys.private.exists():
        keys.signer()
    if encrypt and private_keys.is_encrypted(keys.private.read_bytes()):
        raise FileError("the signing key is encrypted already", where=str(keys.private), hint="plimsoll key decrypt")
    before = password_of(keys.private, "Password of the key", password_file)
    try:
        signer = private_keys.load(keys.private, before)
        after = new_password(password_file) if encrypt else None
        private_keys.write_private(keys.private, private_keys.encoded(signer, after)).replace(keys.private)
    except (OSError, ValueError) as error:
        raise TargetError(f"the signing key cannot be written: {error}", where=str(keys.private)) from error
