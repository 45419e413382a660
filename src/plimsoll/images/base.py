"""What an image is built on: an image in a registry, of which only the manifest is read, or something on this disk.

find_base("python:3.11-slim", store)              a registry; docker://python:3.11-slim says the same
find_base("oci:/srv/images/python:3.11", store)   an OCI image layout, and in it a name
find_base("oci-archive:python.tar", store)        one in a tar file, as `skopeo` and `python -m lab image` make it
find_base("rootfs:/srv/python", store)            a folder that becomes the root file system, as of debootstrap
"""

from __future__ import annotations

import hashlib
import os
import platform as machine
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from plimsoll.errors import FileError, ModelRefused, TargetError
from plimsoll.images.layers import LAYER, Entry, LayerStore
from plimsoll.registry.connection import Access
from plimsoll.registry.layout import INDEX, REFERENCE, Descriptor
from plimsoll.registry.references import Reference, parse
from plimsoll.registry.repository import DOCKER_INDEX, Repository

LARGEST = 4 << 20
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_OF_DOCKER = {
    "application/vnd.docker.image.rootfs.diff.tar.gzip": LAYER,
    "application/vnd.docker.image.rootfs.diff.tar": "application/vnd.oci.image.layer.v1.tar",
}
"""Docker's names of layers to the specification's: the same bytes."""


class BaseLayer(Struct, frozen=True, kw_only=True):
    """A layer that is already somewhere: a file on this disk, or a repository (`reference` by tag or digest)."""

    descriptor: Descriptor
    diff_id: str
    path: Path | None = None
    reference: Reference | None = None


class Base(Struct, frozen=True, kw_only=True):
    """An image to build on. `name` is for people; `config` is the image's whole configuration, as JSON."""

    name: str
    digest: str
    config: dict[str, Any]
    layers: tuple[BaseLayer, ...]

    def variable(self, name: str) -> str:
        """An environment variable that the image sets, empty when it does not."""
        words = (str(word) for word in (self.config.get("config") or {}).get("Env") or [])
        return next((word.partition("=")[2] for word in words if word.partition("=")[0] == name), "")


def own_architecture() -> str:
    """This machine's, in the words of images."""
    return _ARCHITECTURES.get(machine.machine(), machine.machine())


def find_base(
    name: str, store: LayerStore, *, architecture: str = "", access: Access | None = None, directory: Path | None = None
) -> Base:
    """The base that a name stands for; see the module. Paths are relative to `directory`.

    Raises FileError for a name that cannot be, TargetError or RegistryError for what is not there or not for Linux on
    `architecture` (by default this machine's).
    """
    architecture = architecture or own_architecture()
    kind, colon, rest = name.partition(":")
    place = (directory or Path()) / rest
    if colon and kind == "rootfs":
        return _of_root(place, store, architecture)
    if colon and kind == "oci-archive":
        return _of_layout(_unpacked(place, store), "", name, architecture)
    if colon and kind == "oci":
        path, tag = (rest, "") if place.is_dir() else (rest.rpartition(":")[0], rest.rpartition(":")[2])
        return _of_layout((directory or Path()) / path, tag, name, architecture)
    return _of_registry(parse(name.removeprefix("docker://")), architecture, access)


def _of_registry(reference: Reference, architecture: str, access: Access | None) -> Base:
    with Repository(reference, access) as repository:
        manifest = repository.manifest()
        if manifest.media_type in {INDEX, DOCKER_INDEX} or "manifests" in manifest.decoded():
            chosen = _for_machine(manifest.decoded(), architecture, str(reference))
            manifest = repository.manifest(chosen)
        content = manifest.decoded()
        config = repository.blob(_descriptor(content.get("config"), str(reference)), f"the config of {reference}")
    return _described(str(reference), manifest.digest, content, config, architecture, reference=reference)


def _of_layout(root: Path, tag: str, name: str, architecture: str) -> Base:
    entries = _json(_read(root / "index.json", name), name).get("manifests") or []
    named = [each for each in entries if not tag or (each.get("annotations") or {}).get(REFERENCE) == tag]
    if len({each["digest"] for each in named}) != 1:
        there = ", ".join(str((each.get("annotations") or {}).get(REFERENCE, "?")) for each in entries)
        raise FileError(
            "the layout has no such image, or several", where=name, hint=f"there are: {there or 'none'}; oci:PATH:NAME"
        )
    digest = str(named[0]["digest"])
    content = _json(_blob(root, digest, name), name)
    if "manifests" in content:
        digest = _for_machine(content, architecture, name)
        content = _json(_blob(root, digest, name), name)
    config = _blob(root, _descriptor(content.get("config"), name).digest, name)
    return _described(name, digest, content, config, architecture, blobs=root / "blobs" / "sha256")


def _of_root(root: Path, store: LayerStore, architecture: str) -> Base:
    if not root.is_dir():
        raise TargetError("there is no such folder to build on", where=str(root))
    entries = list(_tree(root))
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
    return Base(name=f"rootfs:{root}", digest=layer.diff_id, config=config, layers=(described,))


def _tree(root: Path) -> Iterator[Entry]:
    for parent, directories, files in os.walk(root):
        for name in sorted([*directories, *files]):
            path = Path(parent, name)
            inner = str(path.relative_to(root))
            if path.is_symlink():
                yield Entry(path=inner, link=str(path.readlink()))
            elif path.is_file():
                yield Entry(path=inner, source=path, executable=os.access(path, os.X_OK))
            elif path.is_dir() and not any(path.iterdir()):
                yield Entry(path=inner, directory=True)


def _described(
    name: str,
    digest: str,
    manifest: dict[str, Any],
    config: bytes,
    architecture: str,
    *,
    blobs: Path | None = None,
    reference: Reference | None = None,
) -> Base:
    content = _json(config, name)
    if (content.get("os", "linux"), content.get("architecture", architecture)) != ("linux", architecture):
        message = f"the image is for {content.get('os')}/{content.get('architecture')}, wanted is linux/{architecture}"
        raise TargetError(message, where=name, hint="name an image for the cluster's machines")
    diff_ids = list((content.get("rootfs") or {}).get("diff_ids") or [])
    layers = [_descriptor(each, name) for each in manifest.get("layers") or []]
    if not layers or len(layers) != len(diff_ids):
        raise TargetError("it is no image with a root file system", where=name, hint="name an image that can be run")
    found = []
    for layer, diff_id in zip(layers, diff_ids, strict=True):
        plain = Descriptor(
            media_type=_OF_DOCKER.get(layer.media_type, layer.media_type), digest=layer.digest, size=layer.size
        )
        path = blobs / layer.digest.removeprefix("sha256:") if blobs else None
        found.append(BaseLayer(descriptor=plain, diff_id=str(diff_id), path=path, reference=reference))
    return Base(name=name, digest=digest, config=content, layers=tuple(found))


def _for_machine(index: dict[str, Any], architecture: str, name: str) -> str:
    there = []
    for each in index.get("manifests") or []:
        about = each.get("platform") or {}
        if about.get("os") == "linux" and about.get("architecture") == architecture:
            return _descriptor(each, name).digest
        there.append(f"{about.get('os', '?')}/{about.get('architecture', '?')}")
    raise TargetError(f"there is no image for linux/{architecture}, only for {', '.join(there) or 'none'}", where=name)


def _unpacked(file: Path, store: LayerStore) -> Path:
    """An archive's layout in the store, under the digest of the archive."""
    try:
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        target = store.root / "unpacked" / digest[:32]
        if target.exists():
            os.utime(target)
        else:
            unfinished = target.with_name(f".{target.name}.{os.getpid()}")
            with tarfile.open(file) as archive:
                archive.extractall(unfinished, filter="data")
            try:
                unfinished.rename(target)
            except OSError:
                # Another process has unpacked the same.
                shutil.rmtree(unfinished, ignore_errors=True)
    except (OSError, tarfile.TarError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TargetError(f"the archive cannot be unpacked: {reason}", where=str(file)) from error
    return target


def _blob(root: Path, digest: str, name: str) -> bytes:
    content = _read(root / "blobs" / "sha256" / digest.removeprefix("sha256:"), name)
    if "sha256:" + hashlib.sha256(content).hexdigest() != digest:
        raise ModelRefused(f"the blob {digest} was altered", where=name)
    return content


def _read(path: Path, name: str) -> bytes:
    try:
        if path.stat().st_size > LARGEST:
            raise TargetError(f"{path.name} has more than {LARGEST} bytes", where=name)
        return path.read_bytes()
    except OSError as error:
        hint = "oci:PATH names a folder with an OCI image layout"
        raise TargetError(f"the image cannot be read: {error.strerror}", where=str(path), hint=hint) from error


def _json(content: bytes, name: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TargetError(f"the image cannot be read: {error}", where=name) from error


def _descriptor(content: Any, name: str) -> Descriptor:
    try:
        return msgspec.convert(content, Descriptor)
    except msgspec.ValidationError as error:
        raise TargetError(f"it is no image: {error}", where=name, hint="name an image that can be run") from error
