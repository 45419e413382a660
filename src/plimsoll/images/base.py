"""Base images: an image in a registry, of which only manifest and config are read, or a source on this disk.

find_base("python:3.11-slim", store)              a registry; docker://python:3.11-slim is the same
find_base("oci:/srv/images/python:3.11", store)   an OCI image layout and the name of an image in it
find_base("oci-archive:python.tar", store)      an OCI image layout in a tar file, of `skopeo` or `python -m lab image`
find_base("rootfs:/srv/python", store)            a folder with a root file system, for example from debootstrap
"""

from __future__ import annotations

import hashlib
import os
import platform as machine
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from plimsoll.archives import BadArchive, read_archive
from plimsoll.errors import FileError, ModelRefused, TargetError
from plimsoll.images.documents import (
    ImageManifest,
    Index,
    IndexEntry,
    Platform,
    checked_digest,
    document,
    image_config,
)
from plimsoll.images.layers import LAYER_TYPE, LayerEntry, LayerStore
from plimsoll.registry.connection import RegistryAccess
from plimsoll.registry.layout import INDEX, REFERENCE_ANNOTATION, Descriptor, JsonObject
from plimsoll.registry.references import Reference, parse_reference
from plimsoll.registry.repository import DOCKER_INDEX, Repository

MAX_DOCUMENT_BYTES = 4 << 20
ON_DISK = ("oci:", "oci-archive:", "rootfs:")
"""How the names begin of base images that lie on this disk."""
_OF_A_LAYOUT = re.compile(r"oci-layout|index\.json|blobs/[a-z0-9]+/[0-9a-f]+")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_OCI_OF_DOCKER = {
    "application/vnd.docker.image.rootfs.diff.tar.gzip": LAYER_TYPE,
    "application/vnd.docker.image.rootfs.diff.tar": "application/vnd.oci.image.layer.v1.tar",
}
"""Docker's media types of layers, mapped to OCI's for the same bytes."""


class OtherArchitecture(TargetError):
    """An image that is there, and not for the architecture that was asked for."""


class BaseLayer(Struct, frozen=True, kw_only=True):
    """An existing layer: a file on this disk (`path`), or a blob in a repository (`reference`, by tag or digest)."""

    descriptor: Descriptor
    diff_id: str
    path: Path | None = None
    reference: Reference | None = None


class BaseImage(Struct, frozen=True, kw_only=True):
    """An image to build on. `name` is for messages and labels. `config` is the whole image configuration as JSON."""

    name: str
    digest: str
    config: JsonObject
    layers: tuple[BaseLayer, ...]

    def variable(self, name: str) -> str:
        """The value of an environment variable of the image, empty when it is not set."""
        words = (str(word) for word in (self.config.get("config") or {}).get("Env") or [])
        return next((word.partition("=")[2] for word in words if word.partition("=")[0] == name), "")


def own_architecture() -> str:
    """The architecture of this machine, by its name in images (`amd64`, `arm64`)."""
    return _ARCHITECTURES.get(machine.machine(), machine.machine())


def find_base(
    name: str,
    store: LayerStore,
    *,
    architecture: str = "",
    access: RegistryAccess | None = None,
    directory: Path | None = None,
) -> BaseImage:
    """Find the base image of a name; the module's docstring has the forms. Paths are relative to `directory`.

    Raises FileError for an invalid name. Raises TargetError or RegistryError when the image does not exist, or is not
    for Linux on `architecture` (by default this machine's).
    """
    architecture = architecture or own_architecture()
    kind, colon, rest = name.partition(":")
    place = (directory or Path()) / rest
    if colon and kind == "rootfs":
        return _base_in_folder(place, store, architecture)
    if colon and kind == "oci-archive":
        return _base_in_layout(_unpack_archive(place, store), "", name, architecture)
    if colon and kind == "oci":
        path, tag = (rest, "") if place.is_dir() else (rest.rpartition(":")[0], rest.rpartition(":")[2])
        return _base_in_layout((directory or Path()) / path, tag, name, architecture)
    return _base_in_registry(parse_reference(name.removeprefix("docker://")), architecture, access)


def _base_in_registry(reference: Reference, architecture: str, access: RegistryAccess | None) -> BaseImage:
    with Repository(reference, access) as repository:
        manifest = repository.manifest()
        content = document(manifest.content, ImageManifest, str(reference))
        if manifest.media_type in {INDEX, DOCKER_INDEX} or content.manifests is not None:
            chosen = _digest_for_machine(content.manifests or (), architecture, str(reference))
            manifest = repository.manifest(chosen)
            content = document(manifest.content, ImageManifest, str(reference))
        checked_digest(content.config, str(reference))
        assert content.config is not None  # noqa: S101 - it has a digest
        config = repository.blob(content.config, f"the config of {reference}")
    return _checked_base(str(reference), manifest.digest, content, config, architecture, reference=reference)


def _base_in_layout(root: Path, tag: str, name: str, architecture: str) -> BaseImage:
    entries = document(_read(root / "index.json", name), Index, name).manifests or ()
    named = [each for each in entries if not tag or (each.annotations or {}).get(REFERENCE_ANNOTATION) == tag]
    if len({each.digest for each in named}) != 1:
        names = ", ".join((each.annotations or {}).get(REFERENCE_ANNOTATION, "?") for each in entries)
        raise FileError(
            "the name matches no image of the layout, or several",
            where=name,
            hint=f"use oci:PATH:NAME; names: {names or 'none'}",
        )
    digest = checked_digest(named[0], name)
    content = document(_read_blob(root, digest, name), ImageManifest, name)
    if content.manifests is not None:
        digest = _digest_for_machine(content.manifests, architecture, name)
        content = document(_read_blob(root, digest, name), ImageManifest, name)
    config = _read_blob(root, checked_digest(content.config, name), name)
    return _checked_base(name, digest, content, config, architecture, blobs=root / "blobs" / "sha256")


def _base_in_folder(root: Path, store: LayerStore, architecture: str) -> BaseImage:
    if not root.is_dir():
        hint = "rootfs:PATH is a folder with a root file system"
        raise TargetError("the folder of the base image does not exist", where=str(root), hint=hint)
    entries = list(_folder_entries(root))
    about = hashlib.sha256()
    for entry in entries:
        found = entry.source.stat() if entry.source else None
        state = f"{found.st_size} {found.st_mtime_ns} {found.st_ino}" if found else entry.link
        about.update(f"{entry.path}\0{state}\0{entry.executable}\n".encode())
    key = f"root-{about.hexdigest()}"
    layer = store.find(key) or store.add(key, entries)
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
    }
    described = BaseLayer(descriptor=layer.descriptor, diff_id=layer.diff_id, path=layer.path)
    return BaseImage(name=f"rootfs:{root}", digest=layer.diff_id, config=config, layers=(described,))


def _folder_entries(root: Path) -> Iterator[LayerEntry]:
    for parent, directories, files in os.walk(root):
        for name in sorted([*directories, *files]):
            path = Path(parent, name)
            inner = str(path.relative_to(root))
            if path.is_symlink():
                yield LayerEntry(path=inner, link=str(path.readlink()))
            elif path.is_file():
                yield LayerEntry(path=inner, source=path, executable=os.access(path, os.X_OK))
            elif path.is_dir() and not any(path.iterdir()):
                yield LayerEntry(path=inner, directory=True)


def _checked_base(
    name: str,
    digest: str,
    manifest: ImageManifest,
    config: bytes,
    architecture: str,
    *,
    blobs: Path | None = None,
    reference: Reference | None = None,
) -> BaseImage:
    content, whole = image_config(config, name)
    if (content.os or "linux", content.architecture or architecture) != ("linux", architecture):
        message = f"the image is for {content.os}/{content.architecture}, expected linux/{architecture}"
        raise OtherArchitecture(message, where=name, hint="choose an image for the architecture of the cluster's nodes")
    diff_ids = (content.rootfs and content.rootfs.diff_ids) or ()
    layers = manifest.layers or ()
    if not layers or len(layers) != len(diff_ids):
        raise TargetError(
            "this image has no root file system", where=name, hint="choose a container image that can run"
        )
    found = []
    for layer, diff_id in zip(layers, diff_ids, strict=True):
        digest_of_layer = checked_digest(layer, name)
        plain = Descriptor(
            media_type=_OCI_OF_DOCKER.get(layer.media_type, layer.media_type), digest=digest_of_layer, size=layer.size
        )
        path = blobs / digest_of_layer.removeprefix("sha256:") if blobs else None
        found.append(BaseLayer(descriptor=plain, diff_id=diff_id, path=path, reference=reference))
    return BaseImage(name=name, digest=digest, config=whole, layers=tuple(found))


def _digest_for_machine(index: Sequence[IndexEntry], architecture: str, name: str) -> str:
    platforms = []
    for each in index:
        platform = each.platform or Platform()
        if platform.os == "linux" and platform.architecture == architecture:
            return checked_digest(each, name)
        platforms.append(f"{platform.os or '?'}/{platform.architecture or '?'}")
    raise OtherArchitecture(
        f"there is no image for linux/{architecture}; platforms: {', '.join(platforms) or 'none'}", where=name
    )


def _unpack_archive(file: Path, store: LayerStore) -> Path:
    """Unpack an archive into the store, under the digest of the archive. Returns the directory of its layout."""
    try:
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        target = store.root / "unpacked" / digest[:32]
        if target.exists():
            os.utime(target)
        else:
            unfinished = target.with_name(f".{target.name}.{os.getpid()}")
            try:
                _unpack(file, unfinished)
                unfinished.rename(target)
            except BadArchive:
                shutil.rmtree(unfinished, ignore_errors=True)
                raise
            except OSError:
                # Another process has unpacked the same archive.
                shutil.rmtree(unfinished, ignore_errors=True)
    except (OSError, BadArchive) as error:
        reason = getattr(error, "strerror", None) or error
        raise TargetError(f"cannot unpack the archive: {reason}", where=str(file)) from error
    return target


def _unpack(file: Path, target: Path) -> None:
    """Write the files of an OCI layout. Raises OSError, BadArchive."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for entry in read_archive(file, compressed=True):
        # Archives of Docker have more files; no other is read.
        if entry.content is not None and _OF_A_LAYOUT.fullmatch(entry.name):
            path = target / entry.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            entry.write(path)


def _read_blob(root: Path, digest: str, name: str) -> bytes:
    content = _read(root / "blobs" / "sha256" / digest.removeprefix("sha256:"), name)
    if "sha256:" + hashlib.sha256(content).hexdigest() != digest:
        raise ModelRefused(f"the blob {digest} was altered", where=name, hint="make or download the image again")
    return content


def _read(path: Path, name: str) -> bytes:
    try:
        if path.stat().st_size > MAX_DOCUMENT_BYTES:
            raise TargetError(f"{path.name} has more than {MAX_DOCUMENT_BYTES} bytes", where=name)
        return path.read_bytes()
    except OSError as error:
        hint = "oci:PATH is a folder with an OCI image layout"
        raise TargetError(f"cannot read the image: {error.strerror}", where=str(path), hint=hint) from error
