"""Sigstore bundles (v0.3) round DSSE envelopes that keys have signed: what cosign 3 and `model_signing` write and read.

Source: sigstore/protobuf-specs, sigstore_bundle.proto, as JSON. Bundles with certificates are refused by name.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import ModelRefused
from plimsoll.signing.claims import encoded_payload
from plimsoll.signing.dsse import (
    NotAnEnvelope,
    OpenedEnvelope,
    Signed,
    WrongSignature,
    open_envelope,
)
from plimsoll.signing.key_files import pem_of
from plimsoll.signing.keys import TrustedKeys, is_readable
from plimsoll.signing.notes import LogKey, der_of
from plimsoll.signing.rekor import MOST_ENTRIES, Logged, Stated, verify_entry
from plimsoll.signing.simple import UNTRUSTED

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"


class _PublicKey(Struct, frozen=True):
    hint: str | None = None


class _Material(Struct, frozen=True, rename="camel"):
    public_key: _PublicKey | None = None
    certificate: msgspec.Raw = msgspec.Raw()
    x509_certificate_chain: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="x509CertificateChain")
    tlog_entries: tuple[msgspec.Raw, ...] = ()


class _Signature(Struct, frozen=True):
    sig: str
    keyid: str = ""


@decodable
class _Envelope(Struct, frozen=True, rename="camel"):
    payload: str
    payload_type: str
    signatures: tuple[_Signature, ...]


@decodable
class _Bundle(Struct, frozen=True, rename="camel"):
    media_type: str
    verification_material: _Material
    dsse_envelope: _Envelope | None = None


class Bundle(Struct, frozen=True, kw_only=True):
    """A bundle that was read and not verified: its envelope, what it says of its key, and its log entries as JSON."""

    envelope: _Envelope
    hint: str
    entries: tuple[bytes, ...] = ()

    @property
    def key_id(self) -> str:
        """The id of the key, where the envelope has one."""
        return self.envelope.signatures[0].keyid

    @property
    def signature(self) -> str:
        """The signature of the envelope, in base64."""
        return self.envelope.signatures[0].sig

    def open_as(self, key_id: str) -> OpenedEnvelope:
        """The envelope as one by a key: bundles need not name it. Raises ModelRefused."""
        signatures = [{"sig": self.signature, "keyid": key_id}]
        try:
            return open_envelope(msgspec.json.encode({**msgspec.to_builtins(self.envelope), "signatures": signatures}))
        except NotAnEnvelope as error:
            raise ModelRefused("the envelope in the bundle cannot be read") from error

    def logged(self, opened: OpenedEnvelope, keys: TrustedKeys, log: LogKey) -> Logged:
        """Where the log of a pinned key has this signature, by the entries of the bundle alone. Raises ModelRefused."""
        refused = ModelRefused(
            "it is in no log",
            hint="sign it again, and have it logged: plimsoll image sign --rekor URL --rekor-key FILE",
        )
        about = stated_in(msgspec.json.encode(self.envelope), opened.key_id, keys)
        for entry in self.entries[:MOST_ENTRIES]:
            try:
                return verify_entry(entry, about, log)
            except ModelRefused as error:
                refused = error
        raise refused

    def verified(self, keys: TrustedKeys) -> OpenedEnvelope:
        """The envelope, when a trusted key has signed it; its `key_id` says which. Raises ModelRefused."""
        for key_id in keys.key_ids():
            if not is_readable(keys, key_id):
                continue
            opened = self.open_as(key_id)
            try:
                opened.verify(keys)
            except WrongSignature:
                continue
            return opened
        raise ModelRefused("it is signed by no key that is trusted here, or was altered", hint=UNTRUSTED)


def stated_in(envelope: bytes, key_id: str, keys: TrustedKeys) -> Stated:
    """What an entry of a log has to say of an envelope with one signature. Raises ModelRefused."""
    try:
        found = msgspec.json.decode(envelope, type=_Envelope)
        payload, made = base64.b64decode(found.payload, validate=True), found.signatures[0].sig
        signature = base64.b64decode(made, validate=True)
    except (*UNREADABLE, IndexError, ValueError, binascii.Error) as error:
        raise ModelRefused("the envelope cannot be read") from error
    return Stated(
        payload=payload,
        encoded=encoded_payload(found.payload_type, payload),
        signature=signature,
        key=der_of(keys.public(key_id)),
    )


def encode_bundle(signed: Signed, keys: TrustedKeys, entries: Sequence[bytes] = ()) -> bytes:
    """A bundle round an envelope, with entries of a transparency log as JSON."""
    bundle = {
        "mediaType": BUNDLE,
        "verificationMaterial": {
            "publicKey": {"hint": hint_of(pem_of(keys.public(signed.key_id)))},
            "tlogEntries": [msgspec.Raw(each) for each in entries],
        },
        "dsseEnvelope": _without_key_id(signed.envelope),
    }
    return msgspec.json.encode(bundle)


def _without_key_id(envelope: bytes) -> dict[str, object]:
    """The envelope without the id of its key: cosign takes only signatures with an id of its own, or with none."""
    found = msgspec.json.decode(envelope, type=_Envelope)
    return {**msgspec.to_builtins(found), "signatures": [{"sig": each.sig} for each in found.signatures]}


def decode_bundle(content: bytes) -> Bundle:
    """Read a bundle that was signed with a key. Raises ModelRefused with what it is otherwise."""
    try:
        bundle = msgspec.json.decode(content, type=_Bundle)
    except UNREADABLE as error:
        raise ModelRefused(f"this is no signature in a bundle of Sigstore: {error}") from error
    material = bundle.verification_material
    if bundle.media_type != BUNDLE:
        raise ModelRefused(f"the bundle is of the type {bundle.media_type[:80]}, and {BUNDLE} is verified here")
    if material.public_key is None:
        hint = "have it signed with a key, and trust that key: plimsoll key trust cosign.pub"
        what = "a certificate" if material.certificate or material.x509_certificate_chain else "no key"
        raise ModelRefused(f"the bundle was signed with {what}, and only keys are verified here", hint=hint)
    envelope = bundle.dsse_envelope
    if envelope is None:
        raise ModelRefused("the bundle has no envelope, and only those are verified here")
    if len(envelope.signatures) != 1:
        raise ModelRefused(f"the bundle has {len(envelope.signatures)} signatures, and one is what the format has")
    entries = tuple(bytes(each) for each in material.tlog_entries)
    return Bundle(envelope=envelope, hint=material.public_key.hint or "", entries=entries)


def hint_of(pem: str) -> str:
    """What names a key in bundles that `model_signing` reads: the SHA-256 of its PEM."""
    return hashlib.sha256(pem.encode()).hexdigest()
