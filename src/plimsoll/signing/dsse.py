"""DSSE envelopes round in-toto statements, and the statement about a model.

Sources: DSSE protocol v1, in-toto Attestation Framework v1 (Statement). Bundles sign a statement about their files
(see `evidence.bundle`); the registry signs one about a model version. It names the version and the digest of its
manifest, so that neither the content nor the name can be exchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import ModelRefused
from plimsoll.signing.keys import KeyRing, TrustedKeys

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope

PAYLOAD_TYPE = "application/vnd.in-toto+json"
ENVELOPE_TYPE = "application/vnd.dsse.envelope.v1+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://plimsoll.dev/model/v1"
"""The predicate type of a statement about a model."""


MAX_SIGNATURES = 64
"""Most signatures of one envelope that are looked at."""


class NotAnEnvelope(Exception):
    """The bytes are no DSSE envelope; the cause is the error of the decoder."""


class WrongSignature(Exception):
    """The signature is not by the key that it names: the envelope or the payload was altered."""


class Signed(Struct, frozen=True, kw_only=True):
    """An envelope as JSON, and the id of the key that signed it."""

    envelope: bytes
    key_id: str


def statement(subjects: Mapping[str, str], predicate_type: str, predicate: object) -> dict[str, object]:
    """An in-toto statement about subjects, given by name with their SHA-256 in hexadecimal digits."""
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in subjects.items()],
        "predicateType": predicate_type,
        "predicate": predicate,
    }


def sign_payload(payload: bytes, keys: KeyRing) -> Signed:
    """Sign a statement's bytes. Raises TargetError when the signing key can neither be read nor made."""
    from securesystemslib.dsse import Envelope

    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    signature = envelope.sign(keys.signer())
    return Signed(envelope=msgspec.json.encode(envelope.to_dict()), key_id=str(signature.keyid))


class OpenedEnvelope:
    """An envelope that was read and not verified yet.

    `key_id` names the key of its first signature, and the one that verified it afterwards; empty without a signature.
    """

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope
        self.payload: bytes = envelope.payload
        self.payload_type: str = envelope.payload_type
        self._key_ids = [str(each) for each in envelope.signatures][:MAX_SIGNATURES]
        self.key_id = next(iter(self._key_ids), "")

    def verify(self, keys: TrustedKeys) -> None:
        """Check that one of its signatures is by a trusted key: keys are replaced, and several may have signed.

        Raises ModelRefused when no key is trusted, WrongSignature when no signature of a trusted key fits.
        """
        from securesystemslib.exceptions import Error

        untrusted: ModelRefused | None = None
        wrong: Exception | None = None
        for key_id in self._key_ids:
            try:
                self._envelope.verify([keys.public(key_id)], 1)
            except ModelRefused as error:
                untrusted = untrusted or error
            except (Error, KeyError, ValueError, TypeError, AttributeError) as error:
                wrong = error
            else:
                self.key_id = key_id
                return
        if wrong is None and untrusted is not None:
            raise untrusted
        raise WrongSignature from wrong


def open_envelope(content: bytes) -> OpenedEnvelope:
    """Read an envelope. Raises NotAnEnvelope."""
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import Error

    try:
        return OpenedEnvelope(Envelope.from_dict(msgspec.json.decode(content)))
    except (*UNREADABLE, Error, KeyError, ValueError, TypeError, AttributeError) as error:
        raise NotAnEnvelope from error


def sign(reference: str, digest: str, lineage: object, keys: KeyRing) -> bytes:
    """The envelope, as JSON, that vouches for a manifest digest under a reference such as `triage@2`."""
    about = statement({reference: digest.removeprefix("sha256:")}, PREDICATE, lineage)
    return sign_payload(msgspec.json.encode(about), keys).envelope


def verify(envelope: bytes, reference: str, digest: str, keys: TrustedKeys) -> str:
    """The id of the trusted key that signed exactly this. Raises ModelRefused with the reason otherwise."""
    try:
        opened = open_envelope(envelope)
    except NotAnEnvelope as error:
        raise ModelRefused(f"the signature of {reference} cannot be read: {error.__cause__!r}") from error
    if not opened.key_id:
        raise ModelRefused(f"{reference} is not signed")
    try:
        opened.verify(keys)
    except ModelRefused as error:
        raise ModelRefused(f"{reference} is refused: {error.message}", where=error.where, hint=error.hint) from error
    except WrongSignature as error:
        message = f"the signature of {reference} is not by the key that it names: it was altered"
        raise ModelRefused(message) from error
    _check_statement(opened.payload, opened.payload_type, reference, digest)
    return opened.key_id


def _check_statement(payload: bytes, payload_type: str, reference: str, digest: str) -> None:
    try:
        found = msgspec.json.decode(payload)
        (subject,) = found["subject"]
        signed = (payload_type, found["_type"], subject["name"], "sha256:" + subject["digest"]["sha256"])
    except (*UNREADABLE, KeyError, ValueError, TypeError) as error:
        raise ModelRefused(f"the signed content of {reference} is not a statement about a model") from error
    if signed != (PAYLOAD_TYPE, STATEMENT, reference, digest):
        raise ModelRefused(f"the signature is for {signed[2]} or for another digest, not for this {reference}")
