"""Verify that a trusted key has signed a model. Only small documents are needed, so no file is pulled before.

The manifest must have the requested digest, and the config the digest in the manifest. A DSSE envelope among the
referrers must be valid for a trusted key, the name in the config and the digest.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import ModelRefused, TargetError
from plimsoll.files import open_regular, replace_file
from plimsoll.registry.layout import CHUNK, TITLE_ANNOTATION, Descriptor, Manifest
from plimsoll.registry.problems import RegistryError
from plimsoll.registry.repository import MAX_MANIFEST_BYTES, Repository
from plimsoll.registry.versions import ModelVersion, decode_version, safe_file_path
from plimsoll.signing import dsse as signing
from plimsoll.signing.keys import TrustedKeys

PROOF_DIRECTORY = ".plimsoll"
"""The directory beside a model's files with manifest.json, config.json and signature.json, which verify the files."""
VERIFY_LIMIT = 300.0
"""Seconds for all documents that verify one model together."""
MAX_ATTESTATION_BYTES = 16 << 20
"""Bytes of all attestations of one model together."""
MAX_ATTESTATIONS = 64
"""Most referrers to read: anyone who may push can add some, and each costs requests."""


class Attestation(Struct, frozen=True, kw_only=True):
    """An attestation of a model: its manifest and its blobs, which are the config and one envelope."""

    content: bytes
    manifest: Manifest
    blobs: tuple[bytes, ...]

    @property
    def envelope(self) -> bytes:
        """The DSSE envelope."""
        return self.blobs[-1]


class SignedModel(Struct, frozen=True, kw_only=True):
    """A model that a trusted key has signed. Its files are not yet checked against the digests in the manifest."""

    version: ModelVersion
    signed_by: str
    manifest: Manifest
    content: bytes
    config: bytes
    envelope: bytes
    attestations: tuple[Attestation, ...] = ()

    def describe_blob(self, layer: Descriptor) -> str:
        """The name of a blob for messages."""
        return f"{layer.annotations.get(TITLE_ANNOTATION, 'the config')} of {self.version.reference}"


def fetch_signed_model(repository: Repository, digest: str, keys: TrustedKeys) -> SignedModel:
    """Pull a model's manifest, config and signatures, and verify them. Raises ModelRefused with the reason."""
    deadline = time.monotonic() + VERIFY_LIMIT
    content = repository.manifest(digest).content
    manifest = _decode_manifest(content, digest)
    config = repository.blob(manifest.config, f"the config of {digest}")
    version = decode_version(manifest, config, digest)
    attestations: list[Attestation] = []
    for entry in repository.referrers(digest, signing.ENVELOPE_TYPE)[:MAX_ATTESTATIONS]:
        _require_bounds(attestations, deadline, repository)
        encoded = repository.manifest(entry.digest).content
        attested = _decode_manifest(encoded, entry.digest)
        if attested.subject is None or attested.subject.digest != digest or len(attested.layers) != 1:
            continue
        blobs = (
            repository.blob(attested.config, f"a signature of {version.reference}"),
            repository.blob(attested.layers[0], f"a signature of {version.reference}"),
        )
        attestations.append(Attestation(content=encoded, manifest=attested, blobs=blobs))
    envelope, signed_by = _find_trusted_signature([each.envelope for each in attestations], version, keys)
    return SignedModel(
        version=version,
        signed_by=signed_by,
        manifest=manifest,
        content=content,
        config=config,
        envelope=envelope,
        attestations=tuple(attestations),
    )


def _require_bounds(attestations: list[Attestation], deadline: float, repository: Repository) -> None:
    if time.monotonic() > deadline:
        message = f"the registry did not send the signatures within {VERIFY_LIMIT:g} s"
        raise RegistryError(message, where=repository.reference.name, hint="try again later")
    if sum(sum(map(len, each.blobs)) for each in attestations) > MAX_ATTESTATION_BYTES:
        message = f"the registry sends signatures of more than {MAX_ATTESTATION_BYTES} bytes"
        raise ModelRefused(message, where=repository.reference.name, hint="delete attestations that are no signatures")


def write_proof(directory: Path, signed: SignedModel) -> None:
    """Write the documents that verify a model's files beside them. Raises TargetError when the disk is full."""
    proof = directory / PROOF_DIRECTORY
    try:
        proof.mkdir(parents=True, exist_ok=True)
        for name, content in proof_files(signed.content, signed.config, signed.envelope).items():
            replace_file(directory / name, content)
    except OSError as error:
        raise TargetError(
            f"cannot write the signature files of the model: {error.strerror}", where=str(proof)
        ) from error


def proof_files(manifest: bytes, config: bytes, envelope: bytes) -> dict[str, bytes]:
    """The documents that verify a model, by their paths in the model's directory."""
    return {
        f"{PROOF_DIRECTORY}/manifest.json": manifest,
        f"{PROOF_DIRECTORY}/config.json": config,
        f"{PROOF_DIRECTORY}/signature.json": envelope,
    }


def check_directory(directory: Path, keys: TrustedKeys, digest: str) -> SignedModel:
    """Verify a model in a directory (pulled, or an image volume) without a registry: signature, config and every file.

    Raises ModelRefused that names the altered or missing part.
    """
    content = _read_proof(directory / PROOF_DIRECTORY / "manifest.json")
    if _digest_of(content) != digest:
        hint = "it is another model, or was altered; remove the directory to pull the model again"
        raise ModelRefused(f"the manifest does not have the digest {digest}", where=str(directory), hint=hint)
    manifest = _decode_manifest(content, digest)
    config = _read_proof(directory / PROOF_DIRECTORY / "config.json")
    if _digest_of(config) != manifest.config.digest:
        raise ModelRefused("the config was altered", where=str(directory / PROOF_DIRECTORY))
    version = decode_version(manifest, config, digest)
    envelope, signed_by = _find_trusted_signature(
        [_read_proof(directory / PROOF_DIRECTORY / "signature.json")], version, keys
    )
    for layer in manifest.layers:
        _check_file(directory / safe_file_path(layer), layer, version)
    return SignedModel(
        version=version,
        signed_by=signed_by,
        manifest=manifest,
        content=content,
        config=config,
        envelope=envelope,
    )


def _find_trusted_signature(envelopes: list[bytes], version: ModelVersion, keys: TrustedKeys) -> tuple[bytes, str]:
    """The first envelope that a trusted key has signed for this version, and the id of that key."""
    refused = ModelRefused(f"{version.reference} is not signed", where=version.digest)
    for envelope in envelopes:
        try:
            return envelope, signing.verify(envelope, version.reference, version.digest, keys)
        except ModelRefused as error:
            refused = error
    raise refused


def _check_file(path: Path, layer: Descriptor, version: ModelVersion) -> None:
    what = f"{layer.annotations.get(TITLE_ANNOTATION)} of {version.reference}"
    digest, size = hashlib.sha256(), 0
    try:
        with open_regular(path) as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise ModelRefused(f"cannot read {what}: {error.strerror}", where=str(path)) from error
    if size != layer.size or "sha256:" + digest.hexdigest() != layer.digest:
        hint = "remove the directory to pull the model again"
        raise ModelRefused(f"{what} was altered: its digest differs", where=str(path), hint=hint)


def _read_proof(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(MAX_MANIFEST_BYTES)
    except OSError as error:
        raise ModelRefused(f"cannot read a signature file of the model: {error.strerror}", where=str(path)) from error


def _decode_manifest(content: bytes, digest: str) -> Manifest:
    try:
        return msgspec.json.decode(content, type=Manifest)
    except UNREADABLE as error:
        raise ModelRefused(f"this is not the manifest of a model: {error}", where=digest) from error


def _digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()
