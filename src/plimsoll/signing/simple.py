"""Simple signing: what `cosign` signed images with before its version 3. A bare signature of a JSON document.

Source: cosign, specs/SIGNATURE_SPEC.md. The document names a repository and the digest of a manifest. The signature is
of its bytes as they are, so that nothing but such a document may be signed this way: bytes of anybody's choice could
be the encoding of an envelope.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import ModelRefused, TargetError
from plimsoll.signing.claims import SIMPLE, claim_of
from plimsoll.signing.keys import is_readable

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

    from plimsoll.signing.keys import KeyRing, TrustedKeys

SIGNED_AT = "plimsoll.dev/signed-at"
"""Where a signer says when it has signed, here and in statements."""
KIND = "cosign container image signature"
MOST_BYTES = 1 << 20
"""Bytes of one document."""


UNTRUSTED = "if you know the signer, trust their public key: plimsoll key trust cosign.pub"


class Bare(Struct, frozen=True, kw_only=True):
    """A signature in base64, and the id of the key that made it."""

    signature: str
    key_id: str


class _Identity(Struct, frozen=True):
    reference: str = msgspec.field(name="docker-reference", default="")


class _Image(Struct, frozen=True):
    digest: str = msgspec.field(name="docker-manifest-digest")


class _Critical(Struct, frozen=True):
    image: _Image
    type: str
    identity: _Identity = _Identity()


class _Optional(Struct, frozen=True):
    at: datetime | None = msgspec.field(name=SIGNED_AT, default=None)


@decodable
class Document(Struct, frozen=True):
    """The signed document."""

    critical: _Critical
    optional: _Optional | None = None

    @property
    def at(self) -> datetime | None:
        """When it was signed, where it says so."""
        return self.optional.at if self.optional is not None else None

    @property
    def digest(self) -> str:
        """The digest of the manifest that it is about."""
        return self.critical.image.digest

    @property
    def repository(self) -> str:
        """The repository that it names, without its registry."""
        return self.critical.identity.reference.partition("/")[2]


def document(repository: str, digest: str) -> bytes:
    """The bytes to sign about a manifest of a repository, such as `registry.example/shop/steps`."""
    critical = {
        "identity": {"docker-reference": repository},
        "image": {"docker-manifest-digest": digest},
        "type": KIND,
    }
    optional = {SIGNED_AT: datetime.now(UTC).replace(microsecond=0)}
    return msgspec.json.encode({"critical": critical, "optional": optional})


def read_document(payload: bytes) -> Document:
    """The document. Raises ModelRefused for any other bytes."""
    try:
        found = msgspec.json.decode(payload, type=Document)
    except UNREADABLE as error:
        raise ModelRefused("this is no document of simple signing") from error
    if found.critical.type != KIND:
        raise ModelRefused(f"the signed document is of the type {found.critical.type[:80]!r}, not {KIND!r}")
    return found


def sign_document(payload: bytes, keys: KeyRing) -> Bare:
    """Log and sign a document, here or in the process that holds the key. Raises TargetError."""
    if (socket := keys.holder()) is not None:
        from plimsoll.signing.holder.client import have_signed_document

        return have_signed_document(socket, payload, keys)
    return sign_document_by(keys.signer(), payload, keys)


def sign_document_by(signer: Signer, payload: bytes, keys: KeyRing) -> Bare:
    """Log and sign a document with the ring's own key. Raises TargetError, also for bytes that are no document."""
    from plimsoll.signing.dsse import log_claim

    try:
        read_document(payload)
    except ModelRefused as error:
        raise TargetError(error.message, hint="only documents about images are signed without an envelope") from error
    claim, key_id = claim_of(SIMPLE, payload), str(signer.public_key.keyid)
    keys.require_may_sign(claim, key_id)
    log_claim(claim, signer, keys)
    made = signer.sign(payload)
    return Bare(signature=base64.b64encode(bytes.fromhex(made.signature)).decode(), key_id=key_id)


def verify_document(payload: bytes, signature: str, digest: str, keys: TrustedKeys) -> str:
    """The id of the trusted key that signed a document about this manifest. Raises ModelRefused."""
    if read_document(payload).digest != digest:
        raise ModelRefused("the signature is about another digest")
    try:
        made = base64.b64decode(signature, validate=True).hex()
    except (binascii.Error, ValueError) as error:
        raise ModelRefused("the signature is not in base64") from error
    from securesystemslib.exceptions import Error
    from securesystemslib.signer import Signature

    for key_id in keys.key_ids():
        if not is_readable(keys, key_id):
            continue
        try:
            keys.public(key_id).verify_signature(Signature(key_id, made), payload)
        except (Error, KeyError, ValueError, TypeError, AttributeError):
            # It is by another key: the next one may fit.
            continue
        conditions = keys.conditions(key_id)
        message, hint = conditions.refusal(claim_of(SIMPLE, payload), key_id, datetime.now(UTC))
        if message:
            raise ModelRefused(message, hint=hint)
        return key_id
    raise ModelRefused("it is signed by no key that is trusted here", hint=UNTRUSTED)
