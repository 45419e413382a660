"""Signatures of images and other artifacts as `cosign` has them, in a registry beside what they are about.

    with Repository(parse_reference("registry.example/shop/steps@sha256:…")) as repository:
        sign_artifact(repository, digest, keys)
        verify_artifact(repository, digest, keys).signed_by

Two forms, of which cosign 3 writes the first and reads both, and cosign 2 the second:

    bundle   a referrer of the manifest whose one blob is a Sigstore bundle      (specs/BUNDLE_SPEC.md of cosign)
    tag      the tag `sha256-<digest>.sig`: a blob and an annotation for each signature (specs/SIGNATURE_SPEC.md)
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import ModelRefused
from plimsoll.registry import cosign_tags
from plimsoll.registry.cosign_tags import TagSignature
from plimsoll.registry.layout import EMPTY_CONFIG, Descriptor, Manifest
from plimsoll.registry.problems import RegistryError
from plimsoll.registry.rekor_client import Api, log_signature
from plimsoll.registry.repository import Repository
from plimsoll.registry.verification import MAX_ATTESTATION_BYTES, MAX_ATTESTATIONS, VERIFY_LIMIT
from plimsoll.signing.claims import Claim
from plimsoll.signing.dsse import PAYLOAD_TYPE, sign_payload, statement
from plimsoll.signing.keys import KeyRing, TrustedKeys
from plimsoll.signing.notes import LogKey
from plimsoll.signing.rekor import Logged
from plimsoll.signing.sigstore import BUNDLE, Bundle, decode_bundle, encode_bundle
from plimsoll.signing.simple import SIGNED_AT, read_document, verify_document

PREDICATE = "https://sigstore.dev/cosign/sign/v1"
"""The predicate type of a statement that says no more than that somebody has signed a manifest."""
Form = Literal["bundle", "tag"]
FORMS: tuple[Form, ...] = ("bundle", "tag")
_STATEMENTS = ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1")


class SignedArtifact(Struct, frozen=True, kw_only=True):
    """A manifest that a trusted key has signed. `at` is when, as the signer says; cosign itself does not say it."""

    digest: str
    signed_by: str
    form: Form
    at: datetime | None = None
    logged: Logged | None = None


class LogPlace(Struct, frozen=True, kw_only=True):
    """A transparency log that takes what is signed: its address, its API, and its pinned key."""

    url: str
    api: Api
    key: LogKey


class _Subject(Struct, frozen=True):
    digest: dict[str, str]
    name: str = ""


class _Predicate(Struct, frozen=True):
    at: datetime | None = msgspec.field(name=SIGNED_AT, default=None)


@decodable
class _Statement(Struct, frozen=True):
    type: str = msgspec.field(name="_type")
    subject: tuple[_Subject, ...]
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: _Predicate = _Predicate()


def sign_artifact(
    repository: Repository,
    digest: str,
    keys: KeyRing,
    forms: tuple[Form, ...] = FORMS,
    log: LogPlace | None = None,
    *,
    again: bool = False,
) -> tuple[Form, ...]:
    """Sign what lies in a repository, unless the own key has. Returns the forms in which it was signed now.

    With `again`, it is signed in any case, with the present time. With `log`, the bundle has the log's proof that it
    took the signature. Raises RegistryError for the registry or the log, TargetError for the key.
    """
    manifest = repository.manifest(digest)
    subject = Descriptor(media_type=manifest.media_type, digest=digest, size=len(manifest.content))
    made: list[Form] = []
    for form in forms:
        if not again and _is_signed(repository, digest, keys, form, log):
            continue
        if form == "bundle":
            _add_bundle(repository, subject, keys, log)
        else:
            cosign_tags.add(repository, digest, keys)
        made.append(form)
    return tuple(made)


def may_sign_artifact(keys: KeyRing, repository: Repository) -> bool:
    """Whether the own key is not limited to something else; it may not exist yet."""
    own = keys.own_id()
    claim = Claim(digest="", kind="images", names=(repository.reference.repository,), subjects=1)
    return not own or claim.is_within(keys.conditions(own).scopes)


def verify_artifact(
    repository: Repository,
    digest: str,
    keys: TrustedKeys,
    forms: tuple[Form, ...] = FORMS,
    log: LogKey | None = None,
) -> SignedArtifact:
    """Find the newest signature of a trusted key about exactly this manifest. Raises ModelRefused otherwise.

    With `log`, only a bundle counts with the proof that the log of this key has the signature; no log is asked.
    """
    refused: ModelRefused | None = None
    deadline = time.monotonic() + VERIFY_LIMIT
    newest: SignedArtifact | None = None
    for form in forms:
        for check in _bundles(repository, digest) if form == "bundle" else cosign_tags.found(repository, digest):
            if time.monotonic() > deadline:
                message = f"the registry did not send the signatures within {VERIFY_LIMIT:g} s"
                raise RegistryError(message, where=repository.reference.name, hint="try again later")
            try:
                found = _verify(check, repository, digest, keys, log)
            except ModelRefused as error:
                refused = refused or error
            else:
                newest = found if newest is None else max(newest, found, key=_time)
    if newest is not None:
        return newest
    where = str(repository.reference.at(digest))
    if refused is not None:
        raise ModelRefused(f"no signature of it counts: {refused.message}", where=where, hint=refused.hint)
    raise ModelRefused("it is not signed", where=where, hint="sign it: plimsoll image sign REFERENCE")


def _time(found: SignedArtifact) -> datetime:
    return found.at or datetime.min.replace(tzinfo=UTC)


def _aware(at: datetime | None) -> datetime | None:
    """A time that says its zone: another one says nothing."""
    return at if at is not None and at.tzinfo is not None else None


def _is_signed(repository: Repository, digest: str, keys: KeyRing, form: Form, log: LogPlace | None) -> bool:
    own, wanted = keys.own_id(), log.key if log is not None and form == "bundle" else None
    try:
        return verify_artifact(repository, digest, _OwnKey(keys, own), (form,), wanted).signed_by == own
    except ModelRefused:
        return False


class _OwnKey:
    """The own key of a ring alone: what others have signed is no reason to sign nothing."""

    def __init__(self, keys: KeyRing, own: str) -> None:
        self._own = own
        self.public, self.conditions = keys.public, keys.conditions

    def key_ids(self) -> list[str]:
        return [self._own] if self._own else []


def _add_bundle(repository: Repository, subject: Descriptor, keys: KeyRing, log: LogPlace | None) -> None:
    predicate = {SIGNED_AT: datetime.now(UTC).replace(microsecond=0)}
    named = {repository.reference.repository: subject.digest.removeprefix("sha256:")}
    about = statement(named, PREDICATE, predicate)
    signed = sign_payload(msgspec.json.encode(about), keys)
    entries = [log_signature(log.url, log.api, signed, log.key, keys)] if log is not None else []
    content = encode_bundle(signed, keys, entries)
    manifest = Manifest(
        artifact_type=BUNDLE,
        config=repository.push_bytes(b"{}", EMPTY_CONFIG),
        layers=(repository.push_bytes(content, BUNDLE),),
        subject=subject,
        annotations={"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": PREDICATE},
    )
    repository.push_referrer(manifest.encoded(), subject, BUNDLE)


def _bundles(repository: Repository, digest: str) -> Iterator[Bundle | ModelRefused]:
    """The bundles about a manifest, or why one is none. Anybody who may push can add some."""
    seen = 0
    for entry in repository.referrers(digest, BUNDLE)[:MAX_ATTESTATIONS]:
        try:
            manifest = repository.manifest(entry.digest).decoded()
            if manifest.subject is None or manifest.subject.digest != digest or len(manifest.layers) != 1:
                continue
            content = repository.blob(manifest.layers[0], f"a signature of {digest}")
            seen += len(content)
            if seen > MAX_ATTESTATION_BYTES:
                message = f"the registry sends signatures of more than {MAX_ATTESTATION_BYTES} bytes"
                raise RegistryError(message, where=repository.reference.name)
            yield decode_bundle(content)
        except ModelRefused as error:
            yield error


def _verify(
    found: Bundle | TagSignature | ModelRefused,
    repository: Repository,
    digest: str,
    keys: TrustedKeys,
    log: LogKey | None,
) -> SignedArtifact:
    """Raises ModelRefused."""
    if isinstance(found, ModelRefused):
        raise found
    if isinstance(found, TagSignature):
        if log is not None:
            raise ModelRefused("a signature under a tag has no proof of a log")
        key_id = verify_document(found.payload, found.signature, digest, keys)
        document = read_document(found.payload)
        _require_named(document.repository, repository, key_id, keys)
        return SignedArtifact(digest=digest, signed_by=key_id, form="tag", at=_aware(document.at))
    opened = found.verified(keys)
    stated = _require_about(opened.payload, opened.payload_type, digest)
    _require_named(stated.subject[0].name, repository, opened.key_id, keys)
    logged = found.logged(opened, keys, log) if log is not None else None
    at = _aware(stated.predicate.at)
    return SignedArtifact(digest=digest, signed_by=opened.key_id, form="bundle", at=at, logged=logged)


def _require_named(named: str, repository: Repository, key_id: str, keys: TrustedKeys) -> None:
    """A key that counts for some repositories must not vouch in one for what it has signed for another."""
    limited = [scope for scope in keys.conditions(key_id).scopes if scope.startswith("images:")]
    if limited and named != repository.reference.repository:
        limits = ", ".join(limited)
        raise ModelRefused(
            f"the key {key_id[:16]} is limited to {limits}, and has signed it for {named[:120] or 'no name'}"
        )


def _require_about(payload: bytes, payload_type: str, digest: str) -> _Statement:
    """A statement, when it is one about this manifest. Raises ModelRefused."""
    try:
        found = msgspec.json.decode(payload, type=_Statement)
    except UNREADABLE as error:
        raise ModelRefused("the signed content is no statement") from error
    if payload_type != PAYLOAD_TYPE or found.type not in _STATEMENTS or found.predicate_type != PREDICATE:
        raise ModelRefused(f"it is a statement of the type {found.predicate_type[:80]}, and no signature of an image")
    if [each.digest.get("sha256") for each in found.subject] != [digest.removeprefix("sha256:")]:
        raise ModelRefused("the signature is about another digest")
    return found
