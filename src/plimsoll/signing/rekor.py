"""Entries of Rekor, a public log of signatures: what one says, and the proof that the log has it. No network is asked.

Sources: sigstore/protobuf-specs, sigstore_rekor.proto (TransparencyLogEntry, as JSON in bundles); the types of entries
of Rekor 1 (`dsse` and `hashedrekord` 0.0.1) and of Rekor 2 (`hashedrekord` 0.0.2). An entry counts when it is about
exactly this signature, its leaf is in the tree of a head, and the pinned key of the log has signed the head.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import ModelRefused
from plimsoll.signing.merkle import is_included, leaf_hash
from plimsoll.signing.notes import LogKey, open_note

MOST_ENTRIES = 8
MOST_BYTES = 1 << 20
_Number = Annotated[str, Meta(pattern=r"^[0-9]{1,19}$")] | int
"""A 64-bit number: JSON of protocol buffers has them as texts."""


class Logged(Struct, frozen=True, kw_only=True):
    """Where a log has a signature. `at` is in seconds since 1970, where the log has signed the time; else 0."""

    origin: str
    index: int
    size: int
    at: int = 0


class Stated(Struct, frozen=True, kw_only=True):
    """A signature that an entry has to be about: the payload, its encoding (PAE), the signature, the key as DER."""

    payload: bytes
    encoded: bytes
    signature: bytes
    key: bytes


class _Kind(Struct, frozen=True):
    kind: str
    version: str


class _LogId(Struct, frozen=True, rename="camel"):
    key_id: bytes = b""


class _Checkpoint(Struct, frozen=True):
    envelope: str


class _Proof(Struct, frozen=True, rename="camel", kw_only=True):
    log_index: _Number = 0
    tree_size: _Number
    root_hash: bytes
    hashes: Annotated[tuple[bytes, ...], Meta(max_length=64)] = ()
    checkpoint: _Checkpoint


class _Promise(Struct, frozen=True, rename="camel"):
    signed_entry_timestamp: bytes = b""


@decodable
class _Entry(Struct, frozen=True, rename="camel", kw_only=True):
    log_index: _Number = 0
    log_id: _LogId = _LogId()
    kind_version: _Kind
    integrated_time: _Number = 0
    inclusion_promise: _Promise | None = None
    inclusion_proof: _Proof | None = None
    canonicalized_body: bytes


class _Digest(Struct, frozen=True):
    algorithm: str
    value: str


class _DsseSignature(Struct, frozen=True):
    signature: bytes
    verifier: bytes


@decodable
class _Dsse(Struct, frozen=True, rename="camel"):
    payload_hash: _Digest
    signatures: tuple[_DsseSignature, ...]


class _PublicKey(Struct, frozen=True, rename="camel"):
    content: bytes = b""
    raw_bytes: bytes = b""


class _Verifier(Struct, frozen=True, rename="camel"):
    public_key: _PublicKey


class _RecordSignature(Struct, frozen=True, rename="camel"):
    content: bytes
    public_key: _PublicKey | None = None
    verifier: _Verifier | None = None


class _RecordData(Struct, frozen=True):
    hash: _Digest | None = None
    algorithm: str = ""
    digest: bytes = b""


class _Record(Struct, frozen=True):
    data: _RecordData
    signature: _RecordSignature


@decodable
class _RecordV2(Struct, frozen=True):
    record: _Record = msgspec.field(name="hashedRekordV002")


@decodable
class _Body(Struct, frozen=True, rename="camel"):
    kind: str
    api_version: str
    spec: msgspec.Raw


def verify_entry(content: bytes, about: Stated, key: LogKey) -> Logged:
    """Where the log of a pinned key has a signature, by an entry as JSON. Raises ModelRefused with what is wrong."""
    if len(content) > MOST_BYTES:
        raise ModelRefused(f"the entry of the log has {len(content)} bytes, more than {MOST_BYTES}")
    try:
        entry = msgspec.json.decode(content, type=_Entry)
        body = msgspec.json.decode(entry.canonicalized_body, type=_Body)
    except UNREADABLE as error:
        raise ModelRefused(f"the entry of the log cannot be read: {error}") from error
    kind = (entry.kind_version.kind, entry.kind_version.version)
    if kind != (body.kind, body.api_version):
        raise ModelRefused("the entry of the log is of another type than it says")
    _require_about(kind, bytes(body.spec), about)
    proof = entry.inclusion_proof
    if proof is None:
        raise ModelRefused("the entry has no proof that the log has it", hint="sign it again: plimsoll image sign")
    head = open_note(proof.checkpoint.envelope, key)
    index, leaf = int(proof.log_index), leaf_hash(entry.canonicalized_body)
    if (head.size, head.root) != (int(proof.tree_size), proof.root_hash):
        raise ModelRefused("the proof is for another tree than the one that the log has signed")
    if not is_included(leaf, index, head.size, head.root, proof.hashes):
        raise ModelRefused("the log does not have this entry: its proof does not lead to the signed root")
    return Logged(origin=head.origin, index=index, size=head.size, at=_time(entry, key))


def _time(entry: _Entry, key: LogKey) -> int:
    """When the log took the entry, where it has signed that; 0 where it has not. Raises ModelRefused when altered."""
    promise = entry.inclusion_promise
    if promise is None or not promise.signed_entry_timestamp:
        return 0
    at = int(entry.integrated_time)
    signed = {
        "body": base64.b64encode(entry.canonicalized_body).decode(),
        "integratedTime": at,
        "logID": entry.log_id.key_id.hex(),
        "logIndex": int(entry.log_index),
    }
    if not key.has_signed(msgspec.json.encode(signed, order="sorted"), promise.signed_entry_timestamp):
        raise ModelRefused("the time of the entry is not signed by the pinned key of the log")
    return at


def _require_about(kind: tuple[str, str], spec: bytes, about: Stated) -> None:
    """Raise ModelRefused unless what an entry records is this signature, by this key, of these bytes."""
    encoded, payload = hashlib.sha256(about.encoded).digest(), hashlib.sha256(about.payload).digest()
    try:
        if kind == ("dsse", "0.0.1"):
            dsse = msgspec.json.decode(spec, type=_Dsse)
            digest, expected = _hex(dsse.payload_hash), payload
            made = [(each.signature, _der(each.verifier)) for each in dsse.signatures]
        elif kind == ("hashedrekord", "0.0.1"):
            record = msgspec.json.decode(spec, type=_Record)
            if record.data.hash is None or record.signature.public_key is None:
                raise ModelRefused("the entry of the log names no digest, or no key")
            digest, expected = _hex(record.data.hash), encoded
            made = [(record.signature.content, _der(record.signature.public_key.content))]
        elif kind == ("hashedrekord", "0.0.2"):
            record = msgspec.json.decode(spec, type=_RecordV2).record
            if record.data.algorithm != "SHA2_256" or record.signature.verifier is None:
                raise ModelRefused("the entry of the log names no SHA-256, or no key")
            digest, expected = record.data.digest, encoded
            made = [(record.signature.content, record.signature.verifier.public_key.raw_bytes)]
        else:
            raise ModelRefused(f"entries of the type {kind[0][:40]} {kind[1][:20]} are not verified here")
    except (*UNREADABLE, ValueError, binascii.Error) as error:
        raise ModelRefused(f"the entry of the log cannot be read: {error}") from error
    if digest != expected or made != [(about.signature, about.key)]:
        raise ModelRefused("the entry of the log is about another signature")


def _hex(digest: _Digest) -> bytes:
    if digest.algorithm != "sha256":
        raise ModelRefused(f"the entry of the log has a digest by {digest.algorithm[:20]}, not SHA-256")
    return bytes.fromhex(digest.value)


def _der(pem: bytes) -> bytes:
    """The key in PEM as DER."""
    lines = pem.decode("ascii").strip().splitlines()
    if not lines or lines[0] != "-----BEGIN PUBLIC KEY-----":
        raise ModelRefused("the entry of the log was made with a certificate, and only keys are verified here")
    return base64.b64decode("".join(lines[1:-1]), validate=True)
