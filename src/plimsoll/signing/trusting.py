"""Takes what somebody gives: a public key, or a signed statement about one that is trusted here."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import FileError, ModelRefused, TargetError
from plimsoll.files import open_regular, replace_file
from plimsoll.signing.conditions import Conditions, strictest
from plimsoll.signing.dsse import NotAnEnvelope, open_envelope
from plimsoll.signing.key_files import MOST_BYTES, TrustedFile, parse_key, write_key_file
from plimsoll.signing.keys import KeyRing
from plimsoll.signing.private_keys import is_encrypted
from plimsoll.signing.revocation import PREDICATE as REVOCATION
from plimsoll.signing.revocation import take_revocation
from plimsoll.signing.rotation import PREDICATE as ROTATION
from plimsoll.signing.rotation import take_rotation


class Taken(Struct, frozen=True, kw_only=True):
    """What a file was, the key that it is about, and what follows."""

    what: str
    key: str
    told: str


def take_file(keys: KeyRing, path: Path, scopes: tuple[str, ...], expires: datetime | None) -> Taken:
    """Take a public key or a statement from a file. Raises FileError, ModelRefused or TargetError."""
    try:
        with open_regular(path) as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise FileError(f"the file cannot be read: {error.strerror}", where=str(path)) from error
    if len(content) > MOST_BYTES:
        raise FileError(f"a key has fewer than {MOST_BYTES} bytes", where=str(path))
    kind = _statement_kind(content)
    if kind and (scopes or expires):
        hint = "limit the key afterwards: plimsoll key limit"
        raise FileError("a statement about a key brings its own limits", where=str(path), hint=hint)
    try:
        if kind == ROTATION:
            return _rotation(keys, content)
        if kind == REVOCATION:
            about = take_revocation(content, keys)
            told = (
                f"the key {about.key[:16]} is revoked ({about.reason}): nothing that it has signed counts here any more"
            )
            return Taken(what="revocation", key=about.key, told=told)
    except ModelRefused as error:
        raise ModelRefused(error.message, where=error.where or str(path), hint=error.hint) from error
    if kind:
        raise FileError(f"this is a statement, and not about a key: {kind[:80]}", where=str(path))
    return _key(keys, content, path, Conditions(scopes=scopes, expires=expires))


def _statement_kind(content: bytes) -> str:
    """The predicate type of a statement in an envelope; empty for anything else."""
    try:
        found = msgspec.json.decode(open_envelope(content).payload)
        return str(found["predicateType"])
    except (NotAnEnvelope, *UNREADABLE, KeyError, TypeError):
        return ""


def _rotation(keys: KeyRing, content: bytes) -> Taken:
    about = take_rotation(content, keys)
    place = keys.directory / "rotations"
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        replace_file(place / f"{about.old}.json", content)
    except OSError as error:
        raise TargetError(f"the rotation cannot be kept: {error.strerror}", where=str(place)) from error
    old = f"{about.old[:16]}, of which {len(about.signed)} statements still count"
    told = f"the key {about.new[:16]} is trusted in place of {old}"
    return Taken(what="rotation", key=about.new, told=told)


def _key(keys: KeyRing, content: bytes, path: Path, limits: Conditions) -> Taken:
    if b"PRIVATE KEY" in content or is_encrypted(content):
        hint = "give its public half; to sign with it: plimsoll key rotate --import FILE"
        raise FileError("this is a private key", where=str(path), hint=hint)
    try:
        given = parse_key(content)
        key_id = str(given.key.keyid)
    except (*UNREADABLE, KeyError, ValueError, TypeError, AttributeError) as error:
        hint = "give a file of the signer's keys/trusted, a public key in PEM, or a statement about a key"
        raise FileError(f"this is no public key: {error}", where=str(path), hint=hint) from error
    if not (key_id.isalnum() and key_id.isascii()):
        raise FileError(f"the key has an id that is none: {key_id[:64]}", where=str(path))
    if keys.public_exists(key_id) and keys.public(key_id).keyval != given.key.keyval:
        hint = f"find out which of the two is genuine; to replace the one here, remove {keys.trusted / key_id}.json"
        raise ModelRefused(f"another key is trusted here under the id {key_id[:16]}", where=str(path), hint=hint)
    # What is known of the key here, such as that it was revoked, is not forgotten by taking its file again.
    known = [keys.conditions(key_id)] if keys.public_exists(key_id) else []
    conditions = strictest([given.conditions, limits, *known])
    try:
        write_key_file(keys.trusted, TrustedFile(key=given.key, conditions=conditions))
    except OSError as error:
        raise TargetError(f"the key cannot be trusted: {error.strerror}", where=str(keys.trusted)) from error
    conditions = keys.conditions(key_id)
    if conditions.revoked is not None:
        return Taken(what="key", key=key_id, told=f"the key {key_id[:16]} stays as it is: {conditions.revoked.words()}")
    for_what = f" for {', '.join(conditions.scopes)}" if conditions.scopes else ""
    return Taken(what="key", key=key_id, told=f"the key {key_id[:16]} is trusted{for_what}")
