"""Signatures of models: an in-toto statement in a DSSE envelope.

Sources: DSSE protocol v1, in-toto Attestation Framework v1 (Statement). The statement names the model version and the
digest of its manifest, so that neither the content nor the name can be replaced.
"""

from __future__ import annotations

import msgspec

from plimsoll.errors import ModelRefused
from plimsoll.signing.keys import KeyRing, TrustedKeys

PAYLOAD_TYPE = "application/vnd.in-toto+json"
ENVELOPE_TYPE = "application/vnd.dsse.envelope.v1+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://plimsoll.dev/model/v1"


def sign(reference: str, digest: str, lineage: object, keys: KeyRing) -> bytes:
    """Sign a manifest digest under a reference such as `triage@2`; returns the envelope as JSON."""
    from securesystemslib.dsse import Envelope

    statement = {
        "_type": STATEMENT,
        "subject": [{"name": reference, "digest": {"sha256": digest.removeprefix("sha256:")}}],
        "predicateType": PREDICATE,
        "predicate": lineage,
    }
    envelope = Envelope(msgspec.json.encode(statement), PAYLOAD_TYPE, {})
    envelope.sign(keys.signer())
    return msgspec.json.encode(envelope.to_dict())


def verify(envelope: bytes, reference: str, digest: str, keys: TrustedKeys) -> str:
    """Verify an envelope; returns the id of the trusted key that signed it. Raises ModelRefused with the reason."""
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import Error

    try:
        opened = Envelope.from_dict(msgspec.json.decode(envelope))
    except (msgspec.DecodeError, Error, KeyError, ValueError, TypeError, AttributeError) as error:
        raise ModelRefused(f"the signature of {reference} cannot be read: {error!r}") from error
    if not opened.signatures:
        raise ModelRefused(f"{reference} is not signed")
    key_id = str(next(iter(opened.signatures)))
    try:
        key = keys.public(key_id)
        opened.verify([key], 1)
    except ModelRefused as error:
        raise ModelRefused(f"{reference} is refused: {error.message}", where=error.where, hint=error.hint) from error
    except (Error, ValueError, TypeError) as error:
        message = f"the signature of {reference} does not match the key that it names: it was altered"
        raise ModelRefused(message) from error
    _check_statement(opened.payload, opened.payload_type, reference, digest)
    return key_id


def _check_statement(payload: bytes, payload_type: str, reference: str, digest: str) -> None:
    try:
        statement = msgspec.json.decode(payload)
        (subject,) = statement["subject"]
        signed = (payload_type, statement["_type"], subject["name"], "sha256:" + subject["digest"]["sha256"])
    except (msgspec.DecodeError, KeyError, ValueError, TypeError) as error:
        raise ModelRefused(f"the signed content of {reference} is not a statement about a model") from error
    if signed != (PAYLOAD_TYPE, STATEMENT, reference, digest):
        raise ModelRefused(f"the signature is for {signed[2]} or for another digest, not for this {reference}")
