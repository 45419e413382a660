"""Compose an image from a base and layers, and push it to a registry, which receives only missing blobs.

    image = compose(base, [dependencies, code], workdir="/workspace")
    pushed = push_image(image, repository, store, tag="latest")
    pushed.reference                        # registry.example/shop/triage@sha256:…, for a pod

Source: the OCI Image Format specification 1.1, config.md and manifest.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
from msgspec import Struct

from plimsoll.errors import TargetError
from plimsoll.images.base import BaseImage, BaseLayer
from plimsoll.images.layers import NOBODY, Layer, LayerStore
from plimsoll.registry.layout import INDEX, MANIFEST, Descriptor, JsonObject
from plimsoll.registry.references import Reference
from plimsoll.registry.repository import Repository

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
PARALLEL_BLOBS = 4
_PREPENDED = frozenset({"PATH", "PYTHONPATH"})
"""Variables whose new value is put before the base image's value, separated by a colon."""


class Image(Struct, frozen=True, kw_only=True):
    """An image that is not pushed yet. The same base, layers and settings give the same `digest`."""

    manifest: bytes
    config: bytes
    layers: tuple[BaseLayer, ...]

    @property
    def digest(self) -> str:
        """The digest of the manifest."""
        return "sha256:" + hashlib.sha256(self.manifest).hexdigest()


class PushedImage(Struct, frozen=True, kw_only=True):
    """A pushed image by digest. `sent` is in bytes of request bodies; the others count blobs."""

    reference: Reference
    sent: int
    blobs_sent: int
    blobs_mounted: int


def compose(
    base: BaseImage,
    layers: Sequence[Layer],
    *,
    environment: Mapping[str, str] | None = None,
    workdir: str = "",
    command: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    user: str = f"{NOBODY}:{NOBODY}",
) -> Image:
    """Put layers on a base. New values of PATH and PYTHONPATH go before the base's; other variables replace the base's.

    `command` replaces the entrypoint and command of the base, which stay without it.
    """
    settings: JsonObject = {**(base.config.get("config") or {}), "User": user}
    settings["Env"] = _environment(base, environment or {})
    if workdir:
        settings["WorkingDir"] = workdir
    if command:
        settings.pop("Cmd", None)
        settings["Entrypoint"] = list(command)
    if labels:
        settings["Labels"] = {**(settings.get("Labels") or {}), **labels}
    root = base.config.get("rootfs") or {}
    content = {
        **base.config,
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [*(root.get("diff_ids") or []), *(each.diff_id for each in layers)]},
    }
    content.setdefault("created", "1970-01-01T00:00:00Z")
    if history := base.config.get("history"):
        content["history"] = [*history, *({"created_by": "plimsoll"} for _ in layers)]
    config = _encode(content)
    on_top = [BaseLayer(descriptor=each.descriptor, diff_id=each.diff_id, path=each.path) for each in layers]
    everything = (*base.layers, *on_top)
    described = Descriptor(
        media_type=CONFIG_TYPE, digest="sha256:" + hashlib.sha256(config).hexdigest(), size=len(config)
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": msgspec.to_builtins(described),
        "layers": [msgspec.to_builtins(each.descriptor) for each in everything],
        "annotations": {
            "org.opencontainers.image.base.name": base.name,
            "org.opencontainers.image.base.digest": base.digest,
        },
    }
    return Image(manifest=_encode(manifest), config=config, layers=everything)


def push_image(
    image: Image, repository: Repository, store: LayerStore, *, tag: str = "", mount_from: Sequence[str] = ()
) -> PushedImage:
    """Push an image. Blobs that the repository has are skipped. Blobs of the base, or of the repositories `mount_from`
    of the same registry, are mounted. The rest is sent; a layer of another registry is first pulled to this disk.

    A killed push leaves nothing to pull. Raises RegistryError, TargetError.
    """
    before = repository.connection.sent
    sent = mounted = 0
    if not repository.has_manifest(image.digest):
        with ThreadPoolExecutor(PARALLEL_BLOBS) as pool:
            unique = list({each.descriptor.digest: each for each in image.layers}.values())
            how = list(pool.map(lambda each: _push_layer(each, repository, store, mount_from), unique))
        sent, mounted = how.count("sent"), how.count("mounted")
        sent += _push_config(image, repository, store)
        repository.push_manifest(image.manifest, MANIFEST)
    if tag and repository.has_manifest(tag) != image.digest:
        repository.push_manifest(image.manifest, MANIFEST, tag=tag)
    return PushedImage(
        reference=repository.reference.at(image.digest),
        sent=repository.connection.sent - before,
        blobs_sent=sent,
        blobs_mounted=mounted,
    )


def push_index(images: Mapping[str, Image], repository: Repository) -> str:
    """Push an index of images that are pushed already, by their architecture; a node pulls the one that it can run.

    Gives the index's digest. The same images give the same index.
    """
    manifests = [
        {
            "mediaType": MANIFEST,
            "digest": image.digest,
            "size": len(image.manifest),
            "platform": {"architecture": architecture, "os": "linux"},
        }
        for architecture, image in sorted(images.items())
    ]
    return repository.push_manifest(_encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}), INDEX)


def _push_config(image: Image, repository: Repository, store: LayerStore) -> bool:
    from plimsoll.files import replace_file

    digest = "sha256:" + hashlib.sha256(image.config).hexdigest()
    path = store.path(digest)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, image.config)
    except OSError as error:
        raise TargetError(f"cannot store the config of the image: {error.strerror}", where=str(path)) from error
    return repository.push_blob(Descriptor(media_type=CONFIG_TYPE, digest=digest, size=len(image.config)), path)


def _push_layer(layer: BaseLayer, repository: Repository, store: LayerStore, mount_from: Sequence[str]) -> str:
    digest = layer.descriptor.digest
    if repository.has_blob(digest):
        return "exists"
    elsewhere = layer.reference
    sources = list(mount_from)
    if elsewhere is not None and elsewhere.registry == repository.reference.registry:
        sources.insert(0, elsewhere.repository)
    for source in sources:
        if source != repository.reference.repository and repository.mount_blob(digest, source):
            return "mounted"
    path = layer.path
    if path is None:
        assert elsewhere is not None  # noqa: S101 - a layer has a path or a reference
        path = store.path(digest)
        # The access settings of the repository are for its own registry; another registry has its own.
        access = repository.connection.access if elsewhere.registry == repository.reference.registry else None
        with Repository(elsewhere, access) as other:
            other.pull_blob(layer.descriptor, path, f"the layer {digest} of {elsewhere}")
    repository.push_blob(layer.descriptor, path)
    return "sent"


def _environment(base: BaseImage, added: Mapping[str, str]) -> list[str]:
    words = [str(word) for word in (base.config.get("config") or {}).get("Env") or []]
    found = dict(word.partition("=")[::2] for word in words)
    if "PATH" in added:
        # A base without PATH relies on the container runtime's default, which does not apply once PATH is set.
        found.setdefault("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    for name, value in added.items():
        found[name] = f"{value}:{found[name]}" if name in _PREPENDED and found.get(name) else value
    return [f"{name}={value}" for name, value in found.items()]


def _encode(content: Mapping[str, object]) -> bytes:
    return msgspec.json.encode(content, order="sorted")
