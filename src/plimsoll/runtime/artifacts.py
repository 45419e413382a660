"""Directories as images in a registry: results and checkpoints of steps. A node can mount one like any other image.

Each file is its own layer, so that unchanged files are not sent again. A label has facts about the content.

By a repository with a sealer, each image is encrypted under a key of its own: layers, facts and names of files. No node
can mount it then, and unchanged files are sent again.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from plimsoll.archives import ArchiveFile, BadArchive, read_archive
from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import ModelRefused, TargetError
from plimsoll.registry.layout import MANIFEST, Descriptor, JsonObject, Manifest
from plimsoll.registry.repository import Repository
from plimsoll.vault.problems import KeyProblem

if TYPE_CHECKING:
    from plimsoll.vault.content_keys import ContentKey, SealedLabel

FACTS_LABEL = "dev.plimsoll.facts"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
SEALED_LABEL = "dev.plimsoll.sealed"
SEALED_TYPE = "application/vnd.dev.plimsoll.layer.v1.tar+sealed"


def push(repository: Repository, tag: str, files: Mapping[str, Path], facts: Mapping[str, object]) -> str:
    """Push files, keyed by their names in the image, under a tag. Returns the digest.

    Only the content decides it, unless it is encrypted.

    Raises RegistryError when the registry refuses the image.
    """
    key, wrapped = repository.sealer.new() if repository.sealer is not None else (None, b"")
    with tempfile.TemporaryDirectory(prefix="plimsoll-push-") as scratch:
        layers = [_push_layer(repository, name, path, Path(scratch), key) for name, path in sorted(files.items())]
        if not layers:
            # An image without layers cannot be mounted.
            layers = [_push_layer(repository, ".empty", None, Path(scratch), key)]
        config = _config([layer.digest for layer in layers], _label(repository, facts, key, wrapped))
        described = _push_bytes(repository, config, CONFIG_TYPE, Path(scratch))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": msgspec.to_builtins(described),
        "layers": msgspec.to_builtins(layers),
    }
    return repository.push_manifest(msgspec.json.encode(manifest), MANIFEST, tag)


def read_facts(repository: Repository, tag: str) -> tuple[str, JsonObject] | None:
    """The digest and the facts of a tag, without the files. `None` when the tag does not exist."""
    if not repository.has_manifest(tag):
        return None
    fetched = repository.manifest(tag)
    try:
        labels = _labels(repository, fetched.decoded(), tag)
        if (found := _sealed(repository, labels, tag)) is not None:
            key, label = found
            return fetched.digest, msgspec.json.decode(key.open_facts(label.facts, tag), type=JsonObject)
        return fetched.digest, msgspec.json.decode(labels[FACTS_LABEL], type=JsonObject)
    except (*UNREADABLE, KeyError) as error:
        hint = "remove the tag from the registry, so that the step runs again"
        raise ModelRefused(f"the facts of {tag} cannot be read: {error}", where=fetched.digest, hint=hint) from error


def pull(repository: Repository, tag: str, directory: Path, names: Iterable[str] | None = None) -> bool:
    """Pull the files of a tag into `directory`, verified; `names` selects some. Returns whether the tag exists.

    Raises ModelRefused for bytes that do not have their digest, and for a file outside the directory; KeyProblem and
    SealedDamaged for what is encrypted and cannot be opened.
    """
    if not repository.has_manifest(tag):
        return False
    wanted = None if names is None else set(names)
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pull-", dir=directory) as scratch:
        manifest = repository.manifest(tag).decoded()
        key = _key_of(repository, manifest, tag)
        if wanted is not None and key is not None:
            wanted = {key.name(name) for name in wanted}
        for described in manifest.layers:
            name = described.annotations.get(_FILE_ANNOTATION, "")
            if wanted is not None and name not in wanted:
                continue
            layer, received = Path(scratch, "layer.tar"), Path(scratch, "received")
            layer.unlink(missing_ok=True)
            received.unlink(missing_ok=True)
            repository.pull_blob(described, layer if key is None else received, f"a part of {tag}")
            if key is not None:
                key.open(received, layer, name, f"{repository.reference.name}:{tag}")
            _extract(layer, directory, tag)
    return True


def copy(source: Repository, digest: str, target: Repository, tag: str) -> None:
    """Copy an image as it is to another repository, under a tag. What is there already is not sent.

    Each part is verified by its digest before it is sent. Raises ModelRefused, RegistryError.
    """
    fetched = source.manifest(digest)
    manifest = fetched.decoded()
    with tempfile.TemporaryDirectory(prefix="plimsoll-copy-") as scratch:
        for part in {each.digest: each for each in (*manifest.layers, manifest.config)}.values():
            if target.has_blob(part.digest):
                continue
            file = Path(scratch, "part")
            source.pull_blob(part, file, f"a part of {tag}")
            target.push_blob(part, file)
            file.unlink()
    if target.has_manifest(tag) != digest:
        target.push_manifest(fetched.content, MANIFEST, tag)


def size(repository: Repository, digest: str) -> int:
    """The bytes of an image's layers."""
    return sum(layer.size for layer in repository.manifest(digest).decoded().layers)


class _Labels(Struct, frozen=True, rename={"labels": "Labels"}):
    labels: dict[str, str]


@decodable
class _Config(Struct, frozen=True):
    config: _Labels


_FILE_ANNOTATION = "dev.plimsoll.file"


def _push_layer(
    repository: Repository, name: str, path: Path | None, scratch: Path, key: ContentKey | None
) -> Descriptor:
    layer, media_type = scratch / "layer.tar", LAYER_TYPE
    _write_tar(layer, name, path)
    if key is not None:
        name, media_type = key.name(name), SEALED_TYPE
        key.seal(layer, scratch / "layer.sealed", name)
        layer = scratch / "layer.sealed"
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    described = Descriptor(
        media_type=media_type,
        digest=f"sha256:{digest}",
        size=layer.stat().st_size,
        annotations={_FILE_ANNOTATION: name},
    )
    repository.push_blob(described, layer)
    return described


def _push_bytes(repository: Repository, content: bytes, media_type: str, scratch: Path) -> Descriptor:
    digest = hashlib.sha256(content).hexdigest()
    described = Descriptor(media_type=media_type, digest=f"sha256:{digest}", size=len(content))
    path = scratch / "blob"
    path.write_bytes(content)
    repository.push_blob(described, path)
    return described


def _write_tar(target: Path, name: str, path: Path | None) -> None:
    """Write one file with its parent folders, without metadata that differs between machines."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        parts = name.split("/")
        for depth in range(1, len(parts)):
            parent = tarfile.TarInfo("/".join(parts[:depth]))
            parent.type, parent.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(parent)
        entry = tarfile.TarInfo(name)
        entry.mode = 0o755 if path and os.access(path, os.X_OK) else 0o644
        if path is None:
            archive.addfile(entry)
            return
        with path.open("rb") as content:
            entry.size = os.fstat(content.fileno()).st_size
            archive.addfile(entry, content)


def _label(
    repository: Repository, facts: Mapping[str, object], key: ContentKey | None, wrapped: bytes
) -> Mapping[str, str]:
    told = msgspec.json.encode(facts, order="deterministic")
    if key is None or repository.sealer is None:
        return {FACTS_LABEL: told.decode()}
    from plimsoll.vault.content_keys import SealedLabel

    label = SealedLabel(key=repository.sealer.id, wrapped=wrapped, facts=key.seal_facts(told))
    return {SEALED_LABEL: msgspec.json.encode(label).decode()}


def _labels(repository: Repository, manifest: Manifest, tag: str) -> Mapping[str, str]:
    raw = repository.blob(manifest.config, f"the facts of {tag}")
    return msgspec.json.decode(raw, type=_Config).config.labels


def _key_of(repository: Repository, manifest: Manifest, tag: str) -> ContentKey | None:
    """The key of an image with sealed layers; None for one in clear, which needs no more than its layers."""
    if not any(layer.media_type == SEALED_TYPE for layer in manifest.layers):
        return None
    try:
        found = _sealed(repository, _labels(repository, manifest, tag), tag)
    except UNREADABLE as error:
        raise ModelRefused(f"the key of {tag} cannot be read: {error}", where=tag) from error
    if found is None:
        raise ModelRefused(f"the key of {tag} is not with it", where=tag, hint="push it again")
    return found[0]


def _sealed(repository: Repository, labels: Mapping[str, str], tag: str) -> tuple[ContentKey, SealedLabel] | None:
    """The key of an image with its label; None for one in clear. Raises KeyProblem, SealedDamaged, UNREADABLE."""
    if SEALED_LABEL not in labels:
        return None
    from plimsoll.vault.content_keys import SealedLabel

    if repository.sealer is None:
        raise KeyProblem(
            "this is encrypted, and no key for it is known here",
            where=f"{repository.reference.name}:{tag}",
            hint="name its key and the Secret: spec.encryption.key with file and secret",
        )
    label = msgspec.json.decode(labels[SEALED_LABEL], type=SealedLabel)
    return repository.sealer.opened(label, f"{repository.reference.name}:{tag}"), label


def _config(layers: Iterable[str], labels: Mapping[str, str]) -> bytes:
    return msgspec.json.encode(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": list(layers)},
        }
    )


def _extract(layer: Path, directory: Path, what: str) -> None:
    try:
        for entry in read_archive(layer):
            if entry.name == ".empty":
                continue
            if entry.content is None:
                (directory / entry.name).mkdir(parents=True, exist_ok=True)
            else:
                _write(directory / entry.name, entry)
    except BadArchive as error:
        raise ModelRefused(f"{what} cannot be unpacked: {error}", where=what) from error
    except OSError as error:
        raise TargetError(f"cannot write a file: {error.strerror}", where=str(error.filename or directory)) from error


def _write(target: Path, entry: ArchiveFile) -> None:
    """Raises OSError, BadArchive."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.part")
    temporary.unlink(missing_ok=True)
    entry.write(temporary)
    temporary.chmod(entry.mode or 0o644)
    temporary.replace(target)


def files_below(directory: Path, *, hidden: bool = True) -> dict[str, Path]:
    """Regular files by their names in an image. `hidden=False` leaves out names that begin with a dot."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_file() and (hidden or not any(part.startswith(".") for part in name.split("/"))):
            found[name] = path
    return found
