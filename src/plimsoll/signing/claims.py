"""What a signed statement is about: its kind and its names, by which keys are limited. Pure."""

from __future__ import annotations

import hashlib
from fnmatch import fnmatchcase
from types import MappingProxyType

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable

IN_TOTO = "application/vnd.in-toto+json"
SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
"""The type of what `cosign` signed before its version 3, see `signing.simple`."""
KINDS = MappingProxyType(
    {
        "models": "models and indexes: their signatures, bills of materials, provenance and quarantines",
        "registry": "the index of a registry: tags, and which version is the newest",
        "bundles": "evidence of checks, evaluations and quarantines",
        "states": "what groups of devices run",
        "audit": "the keys of audit logs",
        "images": "images and artifacts of registries, in cosign's formats, by their repositories",
    }
)
"""What a key may be limited to, and what each means."""
KEYS = "keys"
"""Statements about keys: a key may always speak of itself and of its successor."""
MOST_NAMES = 4
_KIND_OF = MappingProxyType(
    {
        "https://plimsoll.dev/model/v1": "models",
        "https://plimsoll.dev/quarantine/v1": "models",
        "https://slsa.dev/provenance/v1": "models",
        "https://cyclonedx.org/bom": "models",
        "https://spdx.dev/Document/v3.0.1": "models",
        "https://model_signing/signature/v1.0": "models",
        "https://sigstore.dev/cosign/sign/v1": "images",
        "https://plimsoll.dev/index/v1": "registry",
        "https://plimsoll.dev/evidence/v1": "bundles",
        "https://plimsoll.dev/quarantine-evidence/v1": "bundles",
        "https://plimsoll.dev/edge/state/v1": "states",
        "https://plimsoll.dev/audit-key/v1": "audit",
        "https://plimsoll.dev/key-rotation/v1": KEYS,
        "https://plimsoll.dev/key-revocation/v1": KEYS,
        "https://plimsoll.dev/log-head/v1": KEYS,
    }
)


class Claim(Struct, frozen=True, kw_only=True):
    """A statement: its kind (`other` where it is none of KINDS), its first names, and the digest of what is signed."""

    digest: str
    kind: str = "other"
    predicate_type: str = ""
    names: tuple[str, ...] = ()
    subjects: int = 0

    def words(self) -> str:
        """The statement in a sentence, such as `models:triage@2`."""
        return f"{self.kind}:{self.names[0]}" if self.names else self.kind

    def is_within(self, scopes: tuple[str, ...]) -> bool:
        """Whether one of the scopes has its kind, and all its names; a key without scopes may sign everything."""
        return not scopes or self.kind == KEYS or any(self._is_in(scope) for scope in scopes)

    def _is_in(self, scope: str) -> bool:
        kind, _, pattern = scope.partition(":")
        if kind != self.kind:
            return False
        if not pattern or pattern == "*":
            return True
        if self.subjects != len(self.names) or not self.names:
            return False
        return all(fnmatchcase(name, pattern) or fnmatchcase(_bare(name), pattern) for name in self.names)


class _Subject(Struct, frozen=True):
    name: str = ""


@decodable
class _Statement(Struct, frozen=True):
    subject: tuple[_Subject, ...] = ()
    predicate_type: str = msgspec.field(name="predicateType", default="")


def encoded_payload(payload_type: str, payload: bytes) -> bytes:
    """What is signed of an envelope (DSSE's pre-authentication encoding)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def claim_of(payload_type: str, payload: bytes) -> Claim:
    """What a payload states. One that is no statement is of the kind `other`."""
    digest = hashlib.sha256(encoded_payload(payload_type, payload)).hexdigest()
    if payload_type == SIMPLE:
        return Claim(digest=digest, kind="images", predicate_type=SIMPLE, names=_named(payload), subjects=1)
    try:
        found = msgspec.json.decode(payload, type=_Statement)
    except UNREADABLE:
        return Claim(digest=digest)
    if payload_type != IN_TOTO:
        return Claim(digest=digest)
    return Claim(
        digest=digest,
        kind=_KIND_OF.get(found.predicate_type, "other"),
        predicate_type=found.predicate_type,
        names=tuple(each.name for each in found.subject[:MOST_NAMES]),
        subjects=len(found.subject),
    )


def _named(payload: bytes) -> tuple[str, ...]:
    """The repository that a document of simple signing names, without its registry."""
    try:
        found = msgspec.json.decode(payload)["critical"]["identity"]["docker-reference"]
    except (*UNREADABLE, KeyError, TypeError):
        return ()
    return (str(found).partition("/")[2],)


def scope_problem(scope: str) -> str:
    """Why a text is no scope; empty when it is one."""
    kind, colon, pattern = scope.partition(":")
    if kind not in KINDS:
        return f"'{scope[:80]}' is no scope: its kind is none of {', '.join(KINDS)}"
    if colon and not pattern:
        return f"'{scope[:80]}' is no scope: there is no pattern after the colon"
    return ""


def _bare(name: str) -> str:
    """A name without its version, kind of document or prefix: `triage` of `triage@2`, `cabs` of `cabs/state`."""
    return name.removeprefix("audit:").partition("@")[0].partition("/")[0]
