"""Signatures under the tag `sha256-<digest>.sig`, as `cosign` had them before its version 3."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from plimsoll.errors import ModelRefused
from plimsoll.registry.connection import TRIES
from plimsoll.registry.layout import MANIFEST, Descriptor, Manifest
from plimsoll.registry.problems import RegistryError
from plimsoll.registry.repository import Repository
from plimsoll.registry.verification import MAX_ATTESTATIONS
from plimsoll.signing.claims import SIMPLE
from plimsoll.signing.keys import KeyRing
from plimsoll.signing.simple import MOST_BYTES, document, sign_document

SIGNATURE_ANNOTATION = "dev.cosignproject.cosign/signature"
_CONFIG = "application/vnd.oci.image.config.v1+json"


class TagSignature(Struct, frozen=True, kw_only=True):
    """A document of simple signing, and its signature in base64."""

    payload: bytes
    signature: str


def tag_of(digest: str) -> str:
    """The tag of the signatures of a manifest."""
    return digest.replace(":", "-") + ".sig"


def found(repository: Repository, digest: str) -> Iterator[TagSignature | ModelRefused]:
    """The signatures of a manifest, or why one is none."""
    for layer in _layers(repository, digest)[:MAX_ATTESTATIONS]:
        if layer.media_type != SIMPLE:
            continue
        if layer.size > MOST_BYTES:
            yield ModelRefused(f"a signed document has {layer.size} bytes, more than {MOST_BYTES}")
            continue
        try:
            payload = repository.blob(layer, f"a signature of {digest}")
        except ModelRefused as error:
            yield error
        else:
            yield TagSignature(payload=payload, signature=layer.annotations.get(SIGNATURE_ANNOTATION, ""))


def add(repository: Repository, digest: str, keys: KeyRing) -> None:
    """Sign a manifest, and add the signature to those that it has. Raises RegistryError, TargetError."""
    payload = document(repository.reference.name, digest)
    bare = sign_document(payload, keys)
    pushed = repository.push_bytes(payload, SIMPLE)
    layer = msgspec.structs.replace(pushed, annotations={SIGNATURE_ANNOTATION: bare.signature})
    for attempt in range(TRIES):
        layers = (*_layers(repository, digest), layer)
        _push(repository, digest, layers)
        # Another writer of this tag may have overwritten it in the meantime: check again.
        time.sleep(0.02 * attempt)
        if layer in _layers(repository, digest):
            return
    message = f"other writers keep overwriting the signatures of {digest}"
    raise RegistryError(message, where=repository.reference.name, hint="sign again when the others have finished")


def _layers(repository: Repository, digest: str) -> tuple[Descriptor, ...]:
    tag = tag_of(digest)
    if not repository.has_manifest(tag):
        return ()
    return repository.manifest(tag).decoded().layers


def _push(repository: Repository, digest: str, layers: tuple[Descriptor, ...]) -> None:
    # The documents are no archives: their digests are those of their content.
    config = {
        "architecture": "",
        "os": "",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [each.digest for each in layers]},
    }
    manifest = Manifest(config=repository.push_bytes(msgspec.json.encode(config), _CONFIG), layers=layers)
    repository.push_manifest(manifest.encoded(), MANIFEST, tag=tag_of(digest))
