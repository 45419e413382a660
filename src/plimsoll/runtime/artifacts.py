"""Directories as images in a registry: results and checkpoints of steps. A node can mount one like any other image.

Each file is its own layer, so that unchanged files are not sent again. A label has facts about the content.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.archives import ArchiveFile, BadArchive, read_archive
from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import ModelRefused, TargetError
from plimsoll.registry.layout import MANIFEST, Descriptor, JsonObject
from plimsoll.registry.repository import Repository

FACTS_LABEL = "dev.plimsoll.facts"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"


def push(repository: Repository, tag: str, files: Mapping[str, Path], facts: Mapping[str, object]) -> str:
    """Push files, keyed by their names in the image, under a tag. Returns the digest, which only the content decides.

    Raises RegistryError when the registry refuses the image.
    """
    with tempfile.TemporaryDirectory(prefix="plimsoll-push-") as scratch:
        layers = [_push_layer(repository, name, path, Path(scratch)) for name, path in sorted(files.items())]
        if not layers:
            # An image without layers cannot be mounted.
            layers = [_push_layer(repository, ".empty", None, Path(scratch))]
        config = _config([layer.digest for layer in layers], facts)
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
        raw = repository.blob(fetched.decoded().config, f"the facts of {tag}")
        label = msgspec.json.decode(raw, type=_Config).config.labels[FACTS_LABEL]
        return fetched.digest, msgspec.json.decode(label, type=JsonObject)
    except (*UNREADABLE, KeyError) as error:
        hint = "remove the tag from the registry, so that the step runs again"
        raise ModelRefused(f"the facts of {tag} cannot be read: {error}", where=fetched.digest, hint=hint) from error


def pull(repository: Repository, tag: str, directory: Path, names: Iterable[str] | None = None) -> bool:
    """Pull the files of a tag into `directory`, verified; `names` selects some. Returns whether the tag exists.

    Raises ModelRefused for bytes that do not have their digest, and for a file outside the directory.
    """
    if not repository.has_manifest(tag):
        return False
    wanted = None if names is None else set(names)
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pull-", dir=directory) as scratch:
        for described in repository.manifest(tag).decoded().layers:
            if wanted is not None and described.annotations.get(_FILE_ANNOTATION) not in wanted:
                continue
            layer = Path(scratch, "layer.tar")
            layer.unlink(missing_ok=True)
            repository.pull_blob(described, layer, f"a part of {tag}")
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


def _push_layer(repository: Repository, name: str, path: Path | None, scratch: Path) -> Descriptor:
    layer = scratch / "layer.tar"
    _write_tar(layer, name, path)
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    described = Descriptor(
        media_type=LAYER_TYPE,
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


def _config(layers: Iterable[str], facts: Mapping[str, object]) -> bytes:
    label = msgspec.json.encode(facts, order="deterministic").decode()
    return msgspec.json.encode(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {FACTS_LABEL: label}},
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
