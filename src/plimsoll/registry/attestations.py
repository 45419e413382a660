"""Signed statements about a version besides its signature: bills of materials and provenance.

Each lies beside the version as a manifest that names it as its subject, so that registries list it as a referrer.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import ModelRefused
from plimsoll.registry.index_entries import MODEL_ANNOTATION, SUBJECT_ANNOTATION
from plimsoll.registry.layout import EMPTY_CONFIG, MANIFEST, RESTORE_HINT, Descriptor, Layout, Manifest
from plimsoll.registry.versions import ModelVersion
from plimsoll.signing.dsse import (
    ENVELOPE_TYPE,
    PAYLOAD_TYPE,
    STATEMENT,
    NotAnEnvelope,
    WrongSignature,
    open_envelope,
    sign_payload,
    statement,
)
from plimsoll.signing.keys import KeyRing, TrustedKeys

ATTESTATION_ARTIFACT = "application/vnd.in-toto+json"
PREDICATE_ANNOTATION = "in-toto.io/predicate-type"
MOST_BYTES = 64 << 20
"""Bytes of one attestation: a bill of materials of some thousand packages has two million."""
MOST_READ = 64


class Attested(Struct, frozen=True, kw_only=True):
    """What a trusted key has stated about a version."""

    predicate_type: str
    predicate: dict[str, object]
    signed_by: str


def add_attestation(
    layout: Layout, version: ModelVersion, predicate_type: str, predicate: object, keys: KeyRing
) -> Descriptor:
    """Add the blobs of a signed statement about a version. Returns the entry for the index."""
    subject = {version.reference: version.digest.removeprefix("sha256:")}
    about = msgspec.json.encode(statement(subject, predicate_type, predicate))
    annotations = {PREDICATE_ANNOTATION: predicate_type}
    manifest = Manifest(
        artifact_type=ATTESTATION_ARTIFACT,
        config=layout.add_bytes(b"{}", EMPTY_CONFIG),
        layers=(layout.add_bytes(sign_payload(about, keys).envelope, ENVELOPE_TYPE, annotations=annotations),),
        subject=Descriptor(media_type=MANIFEST, digest=version.digest, size=layout.path(version.digest).stat().st_size),
        annotations=annotations,
    )
    listed = {SUBJECT_ANNOTATION: version.digest, MODEL_ANNOTATION: version.name, **annotations}
    return layout.add_bytes(manifest.encoded(), MANIFEST, artifact_type=ATTESTATION_ARTIFACT, annotations=listed)


def read_attestation(
    layout: Layout, entries: tuple[Descriptor, ...], version: ModelVersion, predicate_type: str, keys: TrustedKeys
) -> Attested | None:
    """The newest statement of a type by a trusted key; None when there is none of the type.

    Raises ModelRefused when there are some, and none of them is by a trusted key about exactly this version.
    """
    refused: ModelRefused | None = None
    found = [
        entry
        for entry in entries
        if entry.artifact_type == ATTESTATION_ARTIFACT
        and entry.annotations.get(SUBJECT_ANNOTATION) == version.digest
        and entry.annotations.get(PREDICATE_ANNOTATION) == predicate_type
    ]
    for entry in found[::-1][:MOST_READ]:
        try:
            return _opened(layout, entry, version, predicate_type, keys)
        except ModelRefused as error:
            refused = refused or error
    if refused is not None:
        raise refused
    return None


def _opened(
    layout: Layout, entry: Descriptor, version: ModelVersion, predicate_type: str, keys: TrustedKeys
) -> Attested:
    what = f"the attestation {predicate_type} of {version.reference}"
    manifest = read_attestation_manifest(layout.read(entry, what), version)
    if manifest is None:
        raise ModelRefused(f"{what} cannot be read", where=entry.digest, hint=RESTORE_HINT)
    return verified(layout.read(manifest.layers[0], what), version, predicate_type, keys)


def read_attestation_manifest(content: bytes, version: ModelVersion) -> Manifest | None:
    """A manifest, when it is of one attestation about the version and of a size that attestations have; else None."""
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except UNREADABLE:
        return None
    about = manifest.subject.digest if manifest.subject else ""
    size = sum(each.size for each in (manifest.config, *manifest.layers))
    return manifest if about == version.digest and len(manifest.layers) == 1 and size <= MOST_BYTES else None


def verified(envelope: bytes, version: ModelVersion, predicate_type: str, keys: TrustedKeys) -> Attested:
    """What an envelope states, when a trusted key has signed it about this version. Raises ModelRefused."""
    what = f"the attestation {predicate_type} of {version.reference}"
    try:
        opened = open_envelope(envelope)
        opened.verify(keys)
    except NotAnEnvelope as error:
        raise ModelRefused(f"{what} cannot be read", hint=RESTORE_HINT) from error
    except WrongSignature as error:
        raise ModelRefused(f"{what} was altered: its signature does not fit", hint=RESTORE_HINT) from error
    except ModelRefused as error:
        raise ModelRefused(f"{what} is refused: {error.message}", where=error.where, hint=error.hint) from error
    try:
        found = msgspec.json.decode(opened.payload)
        (subject,) = found["subject"]
        stated = (found["_type"], found["predicateType"], subject["name"], f"sha256:{subject['digest']['sha256']}")
        predicate = found["predicate"]
    except (*UNREADABLE, KeyError, ValueError, TypeError) as error:
        raise ModelRefused(f"{what} is no statement about a model") from error
    if (opened.payload_type, *stated) != (PAYLOAD_TYPE, STATEMENT, predicate_type, version.reference, version.digest):
        raise ModelRefused(f"{what} is about something else")
    if not isinstance(predicate, dict):
        raise ModelRefused(f"{what} states nothing")
    return Attested(predicate_type=predicate_type, predicate=predicate, signed_by=opened.key_id)
