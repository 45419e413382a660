"""Adds signatures to a Rekor log over HTTP, and takes nothing from it that its pinned key does not prove.

    entry = log_signature("https://log2025-1.rekor.sigstore.dev", "v2", signed, key, keys)

Sources: rekor-tiles, CLIENTS.md (v2: `hashedrekord` 0.0.2 over the encoding of the envelope); rekor, openapi.yaml
(v1: `dsse` 0.0.1). By contract: the public logs are not reached by the tests, which have a log of their own.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import ipaddress
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import httpx2
import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import FileError, ModelRefused
from plimsoll.registry.bounds import TooMany, read_body, within
from plimsoll.registry.problems import RegistryError
from plimsoll.signing.key_files import pem_of
from plimsoll.signing.rekor import MOST_BYTES, Stated, verify_entry
from plimsoll.signing.sigstore import stated_in

if TYPE_CHECKING:
    from plimsoll.signing.dsse import Signed
    from plimsoll.signing.keys import TrustedKeys
    from plimsoll.signing.notes import LogKey

Api = Literal["v1", "v2"]
ANSWER_LIMIT = 60.0
"""Seconds for the answer to begin: Rekor 2 answers when a signed head has the entry, which takes up to 20."""
_CONNECT_LIMIT = 10.0


class _Proof(Struct, frozen=True, rename="camel"):
    checkpoint: str
    hashes: tuple[str, ...]
    log_index: int
    root_hash: str
    tree_size: int


class _Verification(Struct, frozen=True, rename="camel"):
    inclusion_proof: _Proof
    signed_entry_timestamp: str = ""


@decodable
class _OldEntry(Struct, frozen=True, rename="camel"):
    body: bytes
    integrated_time: int
    log_index: int
    log_id: str = msgspec.field(name="logID")
    verification: _Verification = msgspec.field()


def log_signature(url: str, api: Api, signed: Signed, key: LogKey, keys: TrustedKeys) -> bytes:
    """Have a log take a signature; gives its entry as JSON of a bundle, verified by the pinned key of the log.

    Raises FileError for the address or the kind of key, RegistryError for the log, ModelRefused for a wrong entry.
    """
    about = stated_in(signed.envelope, signed.key_id, keys)
    if api == "v2":
        entry = _send(url, "/api/v2/log/entries", _request(about, signed, keys))
    else:
        pem = pem_of(keys.public(signed.key_id)).encode()
        content = {"envelope": signed.envelope.decode(), "verifiers": [base64.b64encode(pem).decode()]}
        request: dict[str, object] = {"kind": "dsse", "apiVersion": "0.0.1", "spec": {"proposedContent": content}}
        entry = _renewed(_send(url, "/api/v1/log/entries", request), url)
    try:
        verify_entry(entry, about, key)
    except ModelRefused as error:
        raise ModelRefused(f"the log gave an entry that does not count: {error.message}", where=url) from error
    return entry


def _request(about: Stated, signed: Signed, keys: TrustedKeys) -> dict[str, object]:
    if keys.public(signed.key_id).keytype != "ecdsa":
        raise FileError(
            "Rekor 2 takes signatures of digests, and Ed25519 signs no digest",
            where="--rekor",
            hint="sign with an ECDSA key (plimsoll key rotate --algorithm ecdsa), or use --rekor-api v1",
        )
    verifier = {"publicKey": {"rawBytes": _text(about.key)}, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
    signature = {"content": _text(about.signature), "verifier": verifier}
    return {
        "hashedRekordRequestV002": {
            "digest": _text(hashlib.sha256(about.encoded).digest()),
            "signature": signature,
        }
    }


def _send(url: str, path: str, request: dict[str, object]) -> bytes:
    _require_address(url)
    timeout = httpx2.Timeout(ANSWER_LIMIT, connect=_CONNECT_LIMIT)
    try:
        with httpx2.Client(timeout=timeout, headers={"Accept-Encoding": "identity"}) as client:
            built = client.build_request("POST", url.rstrip("/") + path, json=request)
            answer = within(ANSWER_LIMIT, lambda: client.send(built, stream=True))
            try:
                content = read_body(answer, MOST_BYTES)
            finally:
                answer.close()
    except TooMany:
        raise RegistryError(f"the log sends more than {MOST_BYTES} bytes", where=url) from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        hint = "try again later; nothing was pushed"
        raise RegistryError(f"the log cannot be reached: {error}", where=url, hint=hint) from error
    if answer.status_code not in {200, 201}:
        told = content[:200].decode(errors="replace").strip()
        message = f"the log refuses the entry with status {answer.status_code}: {told or 'it says no more'}"
        raise RegistryError(message, status=answer.status_code, where=url)
    return content


def _renewed(content: bytes, url: str) -> bytes:
    """The entry of an answer of Rekor 1, as bundles have it."""
    try:
        ((_, old),) = msgspec.json.decode(content, type=dict[str, _OldEntry]).items()
        body = msgspec.json.decode(old.body)
        proof = old.verification.inclusion_proof
        entry: dict[str, object] = {
            "logIndex": str(old.log_index),
            "logId": {"keyId": _text(bytes.fromhex(old.log_id))},
            "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
            "integratedTime": str(old.integrated_time),
            "inclusionPromise": {"signedEntryTimestamp": old.verification.signed_entry_timestamp},
            "inclusionProof": {
                "logIndex": str(proof.log_index),
                "rootHash": _text(bytes.fromhex(proof.root_hash)),
                "treeSize": str(proof.tree_size),
                "hashes": [_text(bytes.fromhex(each)) for each in proof.hashes],
                "checkpoint": {"envelope": proof.checkpoint},
            },
            "canonicalizedBody": _text(old.body),
        }
    except (*UNREADABLE, ValueError, KeyError, TypeError) as error:
        raise ModelRefused(f"the log gave an entry that cannot be read: {error}", where=url) from error
    return msgspec.json.encode(entry)


def _require_address(url: str) -> None:
    """Raise FileError unless the log is reached by TLS, or on this machine."""
    scheme, local = "", False
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        scheme, host = parts.scheme, parts.hostname or ""
        local = host == "localhost" or (host[:1].isdigit() and ipaddress.ip_address(host).is_loopback)
    if scheme != "https" and not (scheme == "http" and local):
        hint = "for example https://log2025-1.rekor.sigstore.dev; http:// counts on this machine alone"
        raise FileError(f"{url[:200]!r} is no address of a log", where="--rekor", hint=hint)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
