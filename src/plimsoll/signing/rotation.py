"""A signing key is replaced by another one, which the old one vouches for.

    keys/rotations/<old>.json   an envelope that both keys have signed: the new key, and all that the old one had signed

What the old key had signed by then still counts; what it signs afterwards counts nowhere that this statement came to.
A rotation that is broken off is carried on by the next one: until it is through, nothing can be signed.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import FileError, ModelRefused, TargetError
from plimsoll.files import flush, replace_file
from plimsoll.locks import locked_file
from plimsoll.signing import private_keys
from plimsoll.signing.claims import KEYS
from plimsoll.signing.conditions import Conditions, Retired
from plimsoll.signing.dsse import (
    PAYLOAD_TYPE,
    NotAnEnvelope,
    WrongSignature,
    open_envelope,
    open_head,
    sign_by,
    statement,
)
from plimsoll.signing.key_digests import key_digest, subject_of
from plimsoll.signing.key_files import TrustedFile, described_key, write_key_file
from plimsoll.signing.keys import KeyRing, OneKey, TrustedKeys
from plimsoll.signing.log_entries import read_entries, statements_by

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

PREDICATE = "https://plimsoll.dev/key-rotation/v1"
NEXT = "next.pem"
LOCK_LIMIT = 60.0
NEWEST_INDEXES = 256


@decodable
class Rotation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a rotation states. `key` is the new key as JSON; `signed` are the digests of what the old one had signed."""

    old: str
    key: dict[str, object]
    at: datetime
    signed: tuple[str, ...] = ()
    expires: datetime | None = None
    scopes: tuple[str, ...] = ()

    @property
    def new(self) -> str:
        """The id of the new key."""
        return str(self.key.get("keyid", ""))


@decodable
class _Statement(Struct, frozen=True):
    type: str = msgspec.field(name="_type")
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: Rotation
    subject: tuple[dict[str, object], ...]


class Rotated(Struct, frozen=True, kw_only=True):
    """The two keys, and how many statements of the old one still count. `countersigned` is False for a lost old key."""

    old: str
    new: str
    signed: int
    countersigned: bool


def rotate(
    keys: KeyRing,
    *,
    also: Collection[str] = (),
    new_key: CryptoSigner | None = None,
    expires: datetime | None = None,
    scopes: tuple[str, ...] = (),
    old_password: bytes | None = None,
    password: bytes | None = None,
) -> Rotated:
    """Replace the signing key. `also` are digests of what the old one signed before there was a log.

    Raises TargetError when a key or the directory cannot be used.
    """
    try:
        keys.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked_file(keys.directory / ".rotation", limit=LOCK_LIMIT) as locked:
            if not locked:
                raise TargetError("another process rotates this key", where=str(keys.directory), hint="wait for it")
            old = keys.own_id()
            if not old:
                keys.signer()
                old = keys.own_id()
            if not keys.private.exists():
                return _without_the_old(keys, old, new_key or private_keys.generate(), expires, scopes, password)
            return _countersigned(keys, old, also, new_key, expires, scopes, old_password, password)
    except OSError as error:
        message = f"the signing key cannot be replaced: {error.strerror or error}"
        raise TargetError(message, where=str(keys.directory), hint="make its directory writable") from error


def _countersigned(
    keys: KeyRing,
    old: str,
    also: Collection[str],
    new_key: CryptoSigner | None,
    expires: datetime | None,
    scopes: tuple[str, ...],
    old_password: bytes | None,
    password: bytes | None,
) -> Rotated:
    file, successor = keys.directory / "rotations" / f"{old}.json", keys.directory / NEXT
    broken_off = file.exists() and successor.exists()
    if not broken_off:
        signer = private_keys.load(keys.private, old_password)
        if str(signer.public_key.keyid) != old:
            raise TargetError(f"signing.pem is not the key {old[:16]}", where=str(keys.private), hint="restore it")
        new = new_key or private_keys.generate()
        private_keys.write_private(successor, private_keys.encoded(new, password)).replace(successor)
        about = Rotation(
            old=old,
            key=described_key(new.public_key),
            at=datetime.now(UTC),
            signed=tuple(sorted(signed_by(keys, old) | set(also))),
            expires=expires,
            scopes=scopes,
        )
        # The new key has to be known before it signs the head of the log.
        write_key_file(keys.trusted, TrustedFile(key=new.public_key, conditions=_of_new(about, Conditions())))
        file.parent.mkdir(mode=0o700, exist_ok=True)
        replace_file(file, _envelope(about, signer, new, keys))
    envelope = file.read_bytes()
    about = open_rotation(envelope, keys)
    _retire(keys, about)
    retired = keys.directory / "retired"
    retired.mkdir(mode=0o700, exist_ok=True)
    keys.private.replace(retired / f"{old}.pem")
    replace_file(keys.named, f"{about.new}\n".encode())
    successor.replace(keys.private)
    flush(keys.directory)
    return Rotated(old=old, new=about.new, signed=len(about.signed), countersigned=True)


def _without_the_old(
    keys: KeyRing,
    old: str,
    new: CryptoSigner,
    expires: datetime | None,
    scopes: tuple[str, ...],
    password: bytes | None,
) -> Rotated:
    """The old key is lost, or a rotation ended between its last two moves; what the log has of it still counts."""
    successor = keys.directory / NEXT
    if successor.exists() and (about := _begun(keys, old)) is not None:
        replace_file(keys.named, f"{about.new}\n".encode())
        successor.replace(keys.private)
        return Rotated(old=about.old, new=about.new, signed=len(about.signed), countersigned=True)
    about = Rotation(
        old=old,
        key=described_key(new.public_key),
        at=datetime.now(UTC),
        signed=tuple(sorted(signed_by(keys, old))),
        expires=expires,
        scopes=scopes,
    )
    write_key_file(keys.trusted, TrustedFile(key=new.public_key, conditions=_of_new(about, Conditions())))
    if keys.public_exists(old):
        _retire(keys, about)
    replace_file(keys.named, f"{about.new}\n".encode())
    private_keys.write_private(keys.private, private_keys.encoded(new, password)).replace(keys.private)
    return Rotated(old=old, new=about.new, signed=len(about.signed), countersigned=False)


def _begun(keys: KeyRing, own: str) -> Rotation | None:
    """The rotation from or to the key that is noted as the own one, where the statement of one is there."""
    for path in sorted((keys.directory / "rotations").glob("*.json")):
        about = open_rotation(path.read_bytes(), keys)
        if own in (about.old, about.new):
            return about
    return None


def signed_by(keys: KeyRing, key_id: str) -> set[str]:
    """The digests of what a key has signed that others may still ask for, by the ring's log.

    Of indexes of registries, which are signed at each change, the newest count. Raises TargetError for a log that is
    not as it was signed.
    """
    if keys.log is None or not keys.log.exists():
        return set()
    head = keys.log.read_head(lambda envelope: open_head(envelope, keys))
    content = keys.log.entries.read_bytes()[: head.bytes]
    read = read_entries(content, str(keys.log.entries))
    if read.finding is not None or read.root_at(head.size) != head.root:
        hint = "see what is wrong: plimsoll audit log --verify"
        raise TargetError("the log of what was signed is not what it was", where=str(keys.log.entries), hint=hint)
    indexes = [each for each in read.entries if each.kind == "registry"]
    others = [each for each in read.entries if each.kind not in ("registry", KEYS)]
    return statements_by((*others, *indexes[-NEWEST_INDEXES:]), key_id)


def _envelope(about: Rotation, old: CryptoSigner, new: CryptoSigner, keys: KeyRing) -> bytes:
    """The statement, logged by the new key and signed by both."""
    from securesystemslib.dsse import Envelope

    subject = {subject_of(about.new): key_digest(about.key)}
    payload = msgspec.json.encode(statement(subject, PREDICATE, msgspec.to_builtins(about)))
    first = msgspec.json.decode(sign_by(new, payload, keys).envelope)
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(old)
    second = envelope.to_dict()
    second["signatures"] = [*second["signatures"], *first["signatures"]]
    return msgspec.json.encode(second)


def open_rotation(content: bytes, keys: TrustedKeys) -> Rotation:
    """A rotation that the old key, which is trusted here, and the new one have signed. Raises ModelRefused."""
    try:
        about = msgspec.json.decode(open_envelope(content).payload, type=_Statement)
    except (NotAnEnvelope, *UNREADABLE) as error:
        raise ModelRefused("this is no statement about the rotation of a key") from error
    rotation = about.predicate
    expected = statement({subject_of(rotation.new): key_digest(rotation.key)}, PREDICATE, {})
    if (
        about.predicate_type != PREDICATE
        or list(about.subject) != expected["subject"]
        or about.type != expected["_type"]
    ):
        raise ModelRefused("this is no statement about the rotation of a key, or it was altered")
    if not (rotation.new.isalnum() and rotation.new.isascii()) or rotation.new == rotation.old:
        raise ModelRefused("the rotation names a key that is none")
    for key_id, trusted in ((rotation.old, keys), (rotation.new, OneKey(rotation.key))):
        opened = open_envelope(content).only_by(key_id)
        try:
            opened.verify(trusted, old=True)
        except WrongSignature as error:
            raise ModelRefused(f"the rotation is not signed by the key {key_id[:16]}") from error
    return rotation


def take_rotation(content: bytes, keys: KeyRing) -> Rotation:
    """Trust the successor of a key that is trusted here, and the old key for what it had signed alone.

    Raises ModelRefused, also when the old key has another successor already.
    """
    rotation = open_rotation(content, keys)
    old = keys.conditions(rotation.old)
    if old.retired is not None and old.retired.successor != rotation.new:
        hint = "ask its owner which of the two is theirs, by another way than this one"
        message = (
            f"the key {rotation.old[:16]} has another successor already, {old.retired.successor[:16] or 'a lost one'}"
        )
        raise ModelRefused(message, hint=hint)
    if old.retired is None and old.expires is not None and datetime.now(UTC) >= old.expires:
        hint = f"get the new key from its owner, and trust it: plimsoll key trust {rotation.new[:16]}.json"
        raise ModelRefused(f"the key {rotation.old[:16]} has expired here, and can vouch for no other", hint=hint)
    if not keys.public_exists(rotation.new):
        key = OneKey(rotation.key).public(rotation.new)
        write_key_file(keys.trusted, TrustedFile(key=key, conditions=_of_new(rotation, old)))
    _retire(keys, rotation)
    return rotation


def _of_new(rotation: Rotation, old: Conditions) -> Conditions:
    """What the new key is trusted for: for no more than the old one was."""
    return Conditions(expires=rotation.expires, scopes=old.scopes or rotation.scopes)


def _retire(keys: KeyRing, rotation: Rotation) -> None:
    retired = Retired(at=rotation.at, successor=rotation.new, signed=rotation.signed)

    def change(before: Conditions) -> Conditions:
        return msgspec.structs.replace(before, retired=retired) if before.retired is None else before

    keys.change_conditions(rotation.old, change)


def rotation_file(keys: KeyRing, old: str) -> Path:
    """Where the statement of a key's rotation is. Raises FileError when there is none."""
    path = keys.directory / "rotations" / f"{old}.json"
    if not path.is_file():
        raise FileError(f"the key {old[:16]} was not rotated here", where=str(path.parent))
    return path
