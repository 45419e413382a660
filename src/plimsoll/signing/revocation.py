"""Keys that are trusted no more: signed statements that travel, and the list in `keys/revoked`.

    keys/revoked/<id>.json   an envelope: the key, since when, and why

A key is revoked by its owner: with itself, or with its successor. In the own ring, the own key may revoke any.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import ModelRefused, TargetError
from plimsoll.files import replace_file
from plimsoll.signing.conditions import Reason, Revoked
from plimsoll.signing.dsse import NotAnEnvelope, WrongSignature, open_envelope, sign_payload, statement
from plimsoll.signing.key_digests import subject_of
from plimsoll.signing.keys import KeyRing

PREDICATE = "https://plimsoll.dev/key-revocation/v1"
_MOST_SUCCESSORS = 64


@decodable
class Revocation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a revocation states."""

    key: str
    at: datetime
    reason: Reason = "unspecified"
    note: str = ""


@decodable
class _Statement(Struct, frozen=True):
    type: str = msgspec.field(name="_type")
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: Revocation
    subject: tuple[dict[str, object], ...]


def revoke(keys: KeyRing, key_id: str, reason: Reason, note: str = "", at: datetime | None = None) -> Revocation:
    """Revoke a key, by a statement that the own key signs. Raises TargetError, and ModelRefused for an unknown key."""
    keys.public(key_id)
    if key_id == keys.own_id():
        raise TargetError(
            f"the key {key_id[:16]} signs here: without another one, nothing of yours could be verified",
            where=str(keys.private),
            hint="make another one first, which also signs your models: plimsoll key rotate",
        )
    about = Revocation(key=key_id, at=at or datetime.now(UTC), reason=reason, note=note)
    subject = {subject_of(key_id): ""}
    content = sign_payload(msgspec.json.encode(_stated(subject, about)), keys).envelope
    _note(keys, about, content, by=keys.own_id())
    return about


def take_revocation(content: bytes, keys: KeyRing) -> Revocation:
    """Trust a key no more, as its owner says. Raises ModelRefused for a statement of somebody else."""
    try:
        opened = open_envelope(content)
        found = msgspec.json.decode(opened.payload, type=_Statement)
    except (NotAnEnvelope, *UNREADABLE) as error:
        raise ModelRefused("this is no statement about the revocation of a key") from error
    about = found.predicate
    stated = _stated({subject_of(about.key): ""}, about)
    if (found.type, found.predicate_type, list(found.subject)) != (stated["_type"], PREDICATE, stated["subject"]):
        raise ModelRefused("this is no statement about the revocation of a key, or it was altered")
    if not (about.key.isalnum() and about.key.isascii()):
        raise ModelRefused("the revocation names a key that is none")
    try:
        # A key that was retired, or has expired, may still say that it is not to be trusted.
        opened.verify(keys, old=True)
    except WrongSignature as error:
        raise ModelRefused("the revocation is not by the key that it names: it was altered") from error
    if opened.key_id not in _who_may(keys, about.key):
        raise ModelRefused(
            f"the key {opened.key_id[:16]} may not revoke the key {about.key[:16]}: it is neither that key nor "
            "its successor",
            hint=f"to trust it no more yourself: plimsoll key revoke {about.key[:16]}",
        )
    _note(keys, about, content, by=opened.key_id)
    return about


def _who_may(keys: KeyRing, key_id: str) -> set[str]:
    """The key itself and its successors, as far as they are known here; and the own key."""
    found = {key_id, keys.own_id()}
    for _ in range(_MOST_SUCCESSORS):
        try:
            retired = keys.conditions(key_id).retired
        except ModelRefused:
            break
        if retired is None or not retired.successor or retired.successor in found:
            break
        key_id = retired.successor
        found.add(key_id)
    return found


def _note(keys: KeyRing, about: Revocation, content: bytes, *, by: str) -> None:
    """Add to the list first: a key whose file cannot be changed is trusted no more either."""
    path = keys.revoked / f"{about.key}.json"
    try:
        keys.revoked.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(path, content)
    except OSError as error:
        hint = "make its directory writable"
        raise TargetError(f"the revocation cannot be written: {error.strerror}", where=str(path), hint=hint) from error
    if keys.public_exists(about.key):
        revoked = Revoked(at=about.at, reason=about.reason, note=about.note, by=by)
        keys.change_conditions(about.key, lambda before: msgspec.structs.replace(before, revoked=revoked))


def _stated(subject: dict[str, str], about: Revocation) -> dict[str, object]:
    # A key is named by its id, which is a digest of it: the digest of the subject has nothing to add.
    stated = statement(subject, PREDICATE, msgspec.to_builtins(about))
    return {**stated, "subject": [{"name": name, "digest": {"sha256": about.key}} for name in subject]}
