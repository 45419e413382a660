"""DSSE envelopes round in-toto statements, and the statement about a model.

Sources: DSSE protocol v1, in-toto Attestation Framework v1 (Statement). Bundles sign a statement about their files
(see `evidence.bundle`); the registry signs one about a model version. It names the version and the digest of its
manifest, so that neither the content nor the name can be exchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import ModelRefused, TargetError
from plimsoll.signing.claims import IN_TOTO, Claim, claim_of
from plimsoll.signing.keys import KeyRing, TrustedKeys
from plimsoll.signing.log_entries import HEAD_PREDICATE, Head

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import Signer

PAYLOAD_TYPE = IN_TOTO
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
    """Log a statement's bytes, and sign them, here or in the process that holds the key.

    Raises TargetError when the key can neither be read nor made, may not sign this, or the log cannot be written.
    """
    if (socket := keys.holder()) is not None:
        from plimsoll.signing.holder.client import have_signed

        return have_signed(socket, payload, keys)
    return sign_by(keys.signer(), payload, keys)


def sign_by(signer: Signer, payload: bytes, keys: KeyRing) -> Signed:
    """Log and sign a statement's bytes with the ring's own key. Raises TargetError."""
    from securesystemslib.dsse import Envelope

    claim, key_id = claim_of(PAYLOAD_TYPE, payload), str(signer.public_key.keyid)
    keys.require_may_sign(claim, key_id)
    log_claim(claim, signer, keys)
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(signer)
    return Signed(envelope=msgspec.json.encode(envelope.to_dict()), key_id=key_id)


def log_claim(claim: Claim, signer: Signer, keys: KeyRing) -> None:
    """Add what is going to be signed to the log of the ring, which a device has none of. Raises TargetError."""
    if keys.log is None:
        return
    key_id = str(signer.public_key.keyid)
    keys.log.add(claim, key_id, lambda head: _sign_head(head, signer), lambda envelope: open_head(envelope, keys))


def _sign_head(head: Head, signer: Signer) -> bytes:
    """The envelope of a log's head, which is in no log itself."""
    from securesystemslib.dsse import Envelope

    about = statement({f"log:{head.log}": head.root}, HEAD_PREDICATE, head)
    envelope = Envelope(msgspec.json.encode(about), PAYLOAD_TYPE, {})
    envelope.sign(signer)
    return msgspec.json.encode(envelope.to_dict())


def open_head(envelope: bytes, keys: TrustedKeys) -> Head:
    """The head of a log that a trusted key has signed. Raises TargetError for any other."""
    try:
        opened = open_envelope(envelope)
        opened.verify(keys, old=True)
        found = msgspec.json.decode(opened.payload)
        head = msgspec.convert(found["predicate"], type=Head)
        expected = statement({f"log:{head.log}": head.root}, HEAD_PREDICATE, msgspec.to_builtins(head))
    except (NotAnEnvelope, WrongSignature, ModelRefused, *UNREADABLE, KeyError, TypeError) as error:
        why = error.message if isinstance(error, ModelRefused) else "it was altered, or is none"
        hint = (
            "restore keys/log from a copy; moved away, it is replaced by a new log, which witnesses tell from this one"
        )
        raise TargetError(f"the signed head of the log does not count: {why}", hint=hint) from error
    if found != expected or head.size < 0 or head.bytes < 0:
        raise TargetError("the signed head of the log is none")
    return head


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

    def only_by(self, key_id: str) -> OpenedEnvelope:
        """This envelope, of which the signature of one key alone counts."""
        self._key_ids = [each for each in self._key_ids if each == key_id]
        return self

    def verify(self, keys: TrustedKeys, *, old: bool = False) -> None:
        """Check that one of its signatures is by a key that is trusted for it: keys are replaced, and several may sign.

        With `old`, a key that was retired or has expired counts too; one that was revoked never does. Raises
        ModelRefused when no key is trusted for it, WrongSignature when no signature of a trusted key fits.
        """
        from securesystemslib.exceptions import Error

        untrusted: ModelRefused | None = None
        wrong: Exception | None = None
        for key_id in self._key_ids:
            try:
                self._envelope.verify([keys.public(key_id)], 1)
                self._require_conditions(keys, key_id, old=old)
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

    def _require_conditions(self, keys: TrustedKeys, key_id: str, *, old: bool) -> None:
        conditions = keys.conditions(key_id)
        if old:
            conditions = msgspec.structs.replace(conditions, expires=None, retired=None)
        claim = claim_of(self.payload_type, self.payload)
        message, hint = conditions.refusal(claim, key_id, datetime.now(UTC))
        if message:
            raise ModelRefused(message, hint=hint)


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
