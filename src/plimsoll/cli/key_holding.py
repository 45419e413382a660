"""`plimsoll key hold` and `plimsoll key use`."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from plimsoll.cli.key_actions import password_of
from plimsoll.cli.terminal import one_line
from plimsoll.errors import FileError, ModelRefused, TargetError
from plimsoll.files import replace_file
from plimsoll.signing import private_keys
from plimsoll.signing.holder.client import held_key
from plimsoll.signing.holder.serving import Holder, hide_memory
from plimsoll.signing.key_files import add_key_file
from plimsoll.signing.keys import HolderPlace, KeyRing, OneKey, TokenPlace

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

SOCKET = "holder.sock"


def hold_key(socket: Path | None, users: tuple[str, ...], password_file: Path | None) -> None:
    """Hold the key of the own ring until SIGINT or SIGTERM. Raises PlimsollError."""
    hidden = hide_memory()
    keys = KeyRing.default()
    signer, kept = _signer_to_hold(keys, password_file)
    keys.adopt(signer.public_key)
    allowed = {_user(each) for each in users} or {os.getuid()}
    place = (socket or keys.directory / SOCKET).absolute()
    holder = Holder(keys, signer, place, allowed, lambda line: click.echo(one_line(line), err=True))
    signal.signal(signal.SIGTERM, _interrupted)
    own = os.getuid() in allowed

    def ready() -> None:
        if own:
            replace_file(keys.holder_file, msgspec.json.encode(HolderPlace(socket=str(place))))
        names = ", ".join(sorted(_name(each) for each in allowed))
        click.echo(f"holding the key {holder.key_id[:16]} for {names} at {place}; Ctrl-C ends it")
        if not hidden:
            click.echo("its memory could not be hidden: other processes of this user may read it", err=True)
        if not kept:
            click.echo("the file of the key is not encrypted: who may read it needs no holder", err=True)

    try:
        holder.serve(ready)
    except KeyboardInterrupt:
        click.echo("the key is held no more", err=True)
    finally:
        if own:
            _forget(keys, place)


def _signer_to_hold(keys: KeyRing, password_file: Path | None) -> tuple[Signer, bool]:
    """The signing key, and whether whoever reads the key ring has nothing of it."""
    if keys.token():
        return keys.signer(), True
    if not keys.private.exists():
        keys.require_usable()
        keys.signer()
    password = password_of(keys.private, "Password of the key", password_file)
    try:
        return private_keys.load(keys.private, password), password is not None
    except (OSError, ValueError, TypeError) as error:
        raise TargetError(f"the signing key cannot be used: {error}", where=str(keys.private)) from error


def use_token(uri: str) -> str:
    """Sign with a key in a token from now on. Returns what to say; raises PlimsollError."""
    from plimsoll.signing.token_signer import TokenSigner

    keys = KeyRing.default()
    key = TokenSigner(uri).public_key
    try:
        add_key_file(keys.trusted, key)
        replace_file(keys.token_file, msgspec.json.encode(TokenPlace(uri=uri)))
        replace_file(keys.named, f"{key.keyid}\n".encode())
        keys.holder_file.unlink(missing_ok=True)
    except OSError as error:
        raise TargetError(f"the key ring cannot be written: {error.strerror}", where=str(keys.directory)) from error
    return f"the token signs from now on, with the key {key.keyid[:16]}; others trust it by its file of trusted/"


def use_holder(place: Path) -> str:
    """Have the holder at a socket sign from now on. Returns what to say; raises PlimsollError."""
    keys = KeyRing.default()
    described = held_key(place)
    key_id = str(described.get("keyid", ""))
    try:
        key = OneKey(described).public(key_id)
    except ModelRefused as error:
        raise TargetError("the holder has shown no key", where=str(place)) from error
    try:
        add_key_file(keys.trusted, key)
        replace_file(keys.named, f"{key_id}\n".encode())
        replace_file(keys.holder_file, msgspec.json.encode(HolderPlace(socket=str(place))))
    except OSError as error:
        raise TargetError(f"the key ring cannot be written: {error.strerror}", where=str(keys.directory)) from error
    return f"{place} signs from now on, with the key {key_id[:16]}"


def use_file() -> str:
    """Sign with the key of the own ring again. Returns what to say; raises PlimsollError."""
    keys = KeyRing.default()
    try:
        keys.holder_file.unlink(missing_ok=True)
        keys.token_file.unlink(missing_ok=True)
        if keys.private.exists():
            signer = private_keys.load(keys.private, password_of(keys.private, "Password of the key"))
            replace_file(keys.named, f"{signer.public_key.keyid}\n".encode())
            keys.adopt(signer.public_key)
        else:
            keys.named.unlink(missing_ok=True)
            keys.signer()
    except (OSError, ValueError) as error:
        raise TargetError(f"the signing key cannot be used: {error}", where=str(keys.private)) from error
    return f"{keys.private} signs from now on, with the key {keys.own_id()[:16]}"


def _forget(keys: KeyRing, place: Path) -> None:
    """Take the name of this holder away, unless another one has taken its place."""
    with contextlib.suppress(TargetError, OSError):
        if keys.holder() == place:
            keys.holder_file.unlink(missing_ok=True)


def _user(text: str) -> int:
    try:
        return int(text) if text.isdigit() else pwd.getpwnam(text).pw_uid
    except KeyError as error:
        raise FileError(f"there is no user '{text[:80]}'", where="--allow") from error


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _interrupted(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
