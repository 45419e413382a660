"""A new signing key for registries: what the old one had signed in them is listed, and signed with the new one too."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from plimsoll.errors import ModelRefused
from plimsoll.registry.attestations import ATTESTATION_ARTIFACT
from plimsoll.registry.blocks import DIRECTORY as BLOCKED
from plimsoll.registry.code import CODE_ARTIFACT
from plimsoll.registry.index_entries import SUBJECT_ANNOTATION
from plimsoll.registry.models import ModelRegistry
from plimsoll.signing.claims import claim_of
from plimsoll.signing.dsse import ENVELOPE_TYPE, NotAnEnvelope, OpenedEnvelope, WrongSignature, open_envelope
from plimsoll.signing.keys import TrustedKeys
from plimsoll.signing.rotation import Rotated


class RotatedRegistries(Struct, frozen=True, kw_only=True):
    """The rotation, and the versions that the new key has signed too."""

    rotated: Rotated
    signed: tuple[str, ...]


def rotate_for(
    registries: Sequence[ModelRegistry],
    old: str,
    rotate: Callable[[Collection[str]], Rotated],
    *,
    accept_index: bool = False,
    expired: bool = False,
) -> RotatedRegistries:
    """Rotate the key that signs registries. `rotate` gets the digests of what the old key had signed in them.

    Raises ModelRefused before anything is changed, when a registry has something that no trusted key has signed. What a
    key that has `expired` signed counts after its rotation alone, by the log, and is looked at then.
    """
    also: set[str] = set()
    for registry in () if expired else registries:
        if not accept_index:
            registry.require_index()
        for version in registry.versions():
            registry.envelope(version)
        also |= statements_of(registry, old)
    rotated = rotate(also)
    signed: list[str] = []
    for registry in registries:
        if not registry.layout.root.is_dir():
            continue
        if not accept_index:
            registry.require_index()
        registry.accept_index()
        for version in registry.versions():
            registry.countersign(version)
            signed.append(version.reference)
    return RotatedRegistries(rotated=rotated, signed=tuple(signed))


def statements_of(registry: ModelRegistry, key_id: str, *, old: bool = False) -> set[str]:
    """The digests of the statements in a registry that a trusted key has signed.

    With `old`, those of a key that was retired count, whenever they were made.
    """
    return {
        claim_of(opened.payload_type, opened.payload).digest
        for content in _envelopes(registry)
        if (opened := _by(content, key_id, registry.keys, old=old)) is not None
    }


def _by(content: bytes, key_id: str, keys: TrustedKeys, *, old: bool) -> OpenedEnvelope | None:
    try:
        opened = open_envelope(content).only_by(key_id)
        opened.verify(keys, old=old)
    except (NotAnEnvelope, WrongSignature, ModelRefused):
        return None
    return opened


def _envelopes(registry: ModelRegistry) -> Iterator[bytes]:
    layout = registry.layout
    for entry in layout.entries():
        if SUBJECT_ANNOTATION not in entry.annotations or entry.artifact_type == CODE_ARTIFACT:
            continue
        with contextlib.suppress(ModelRefused):
            manifest = layout.manifest(entry, "a statement about a model")
            if manifest.artifact_type in (ENVELOPE_TYPE, ATTESTATION_ARTIFACT) and len(manifest.layers) == 1:
                yield layout.read(manifest.layers[0], "a statement about a model")
    yield from _files(layout.root / BLOCKED)


def _files(directory: Path) -> Iterator[bytes]:
    for path in sorted(directory.glob("*.json")):
        with contextlib.suppress(OSError):
            yield path.read_bytes()
