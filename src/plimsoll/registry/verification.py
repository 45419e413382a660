"""Whether somebody whom we trust vouches for a model: worked out from small documents, before any file is fetched.

A model's manifest is held against the digest that was asked for, its config against the manifest, and a DSSE envelope
among its referrers against a trusted key, the name in the config and the digest.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.errors import ModelRefused, TargetError
from plimsoll.files import replace_file
from plimsoll.registry.layout import CHUNK, TITLE, Descriptor, Manifest
from plimsoll.registry.models import ModelVersion, checked_title, described
from plimsoll.registry.repository import Repository
from plimsoll.signing import dsse as signing
from plimsoll.signing.keys import TrustedKeys

PROOF = ".plimsoll"
"""The directory beside a model's files with what they are verified by: manifest.json, config.json, signature.json."""
MOST_STATEMENTS = 64
"""Referrers that are looked at: anyone who may push can add some, and each costs requests."""


class Statement(Struct, frozen=True, kw_only=True):
    """A manifest that says something about a model, and its blobs: the config and one envelope."""

    content: bytes
    manifest: Manifest
    blobs: tuple[bytes, ...]

    @property
    def envelope(self) -> bytes:
        """What was signed."""
        return self.blobs[-1]


class Vouched(Struct, frozen=True, kw_only=True):
    """A model that a trusted key has signed, whose files are still to be held against the manifest's digests."""

    version: ModelVersion
    signed_by: str
    manifest: Manifest
    content: bytes
    config: bytes
    envelope: bytes
    said: tuple[Statement, ...] = ()

    def what(self, layer: Descriptor) -> str:
        """A blob in words."""
        return f"{layer.annotations.get(TITLE, 'the config')} of {self.version.reference}"


def vouch(repository: Repository, digest: str, keys: TrustedKeys) -> Vouched:
    """Fetch a model's documents and verify them. Raises ModelRefused with the reason when nobody trusted signed it."""
    content = repository.manifest(digest).content
    manifest = _decoded(content, digest)
    config = repository.blob(manifest.config, f"the config of {digest}")
    version = described(manifest, config, digest)
    said = []
    for entry in repository.referrers(digest, signing.ENVELOPE_TYPE)[:MOST_STATEMENTS]:
        statement = repository.manifest(entry.digest).content
        about = _decoded(statement, entry.digest)
        if about.subject is None or about.subject.digest != digest or len(about.layers) != 1:
            continue
        blobs = (
            repository.blob(about.config, f"a signature of {version.reference}"),
            repository.blob(about.layers[0], f"a signature of {version.reference}"),
        )
        said.append(Statement(content=statement, manifest=about, blobs=blobs))
    envelope, signed_by = _signature([each.envelope for each in said], version, keys)
    return Vouched(
        version=version,
        signed_by=signed_by,
        manifest=manifest,
        content=content,
        config=config,
        envelope=envelope,
        said=tuple(said),
    )


def leave_proof(directory: Path, vouched: Vouched) -> None:
    """Put beside a model's files what they can be verified by. Raises TargetError when the disk does not take it."""
    proof = directory / PROOF
    try:
        proof.mkdir(parents=True, exist_ok=True)
        for name, content in proof_files(vouched.content, vouched.config, vouched.envelope).items():
            replace_file(directory / name, content)
    except OSError as error:
        raise TargetError(f"a model's proof cannot be written: {error.strerror}", where=str(proof)) from error


def proof_files(manifest: bytes, config: bytes, envelope: bytes) -> dict[str, bytes]:
    """The proof's files by their paths in a model's directory."""
    return {
        f"{PROOF}/manifest.json": manifest,
        f"{PROOF}/config.json": config,
        f"{PROOF}/signature.json": envelope,
    }


def check_directory(directory: Path, keys: TrustedKeys, digest: str) -> Vouched:
    """Verify a model in a directory (pulled, or an image volume) without a registry: proof, signature, every file.

    Raises ModelRefused that names what was altered or is missing.
    """
    content = _file(directory / PROOF / "manifest.json")
    if _digest(content) != digest:
        hint = "it is another model, or was altered; remove the directory to have it fetched"
        raise ModelRefused(f"the manifest is not that of {digest}", where=str(directory), hint=hint)
    manifest = _decoded(content, digest)
    config = _file(directory / PROOF / "config.json")
    if _digest(config) != manifest.config.digest:
        raise ModelRefused("the config was altered", where=str(directory / PROOF))
    version = described(manifest, config, digest)
    envelope, signed_by = _signature([_file(directory / PROOF / "signature.json")], version, keys)
    for layer in manifest.layers:
        _check_file(directory / checked_title(layer), layer, version)
    return Vouched(
        version=version,
        signed_by=signed_by,
        manifest=manifest,
        content=content,
        config=config,
        envelope=envelope,
    )


def _signature(envelopes: list[bytes], version: ModelVersion, keys: TrustedKeys) -> tuple[bytes, str]:
    """The first envelope that a trusted key has made for this version, and that key's id."""
    refused = ModelRefused(f"{version.reference} is not signed", where=version.digest)
    for envelope in envelopes:
        try:
            return envelope, signing.verify(envelope, version.reference, version.digest, keys)
        except ModelRefused as error:
            refused = error
    raise refused


def _check_file(path: Path, layer: Descriptor, version: ModelVersion) -> None:
    what = f"{layer.annotations.get(TITLE)} of {version.reference}"
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise ModelRefused(f"{what} cannot be read: {error.strerror}", where=str(path)) from error
    if size != layer.size or "sha256:" + digest.hexdigest() != layer.digest:
        hint = "remove the directory to have it fetched anew"
        raise ModelRefused(f"{what} was altered: its digest is another", where=str(path), hint=hint)


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelRefused(f"there is no proof of the model: {error.strerror}", where=str(path)) from error


def _decoded(content: bytes, digest: str) -> Manifest:
    try:
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelRefused(f"what is there is no model's manifest: {error}", where=digest) from error


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()
