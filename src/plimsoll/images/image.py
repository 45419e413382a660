"""An image of a base and layers on it, and its way into a registry: only what is not there travels.

    image = compose(base, [dependencies, code], workdir="/workspace")
    pushed = push_image(image, repository, store, tag="latest")
    pushed.reference                        # registry.example/shop/triage@sha256:…, what a pod is given

Source: the OCI Image Format specification 1.1, config.md and manifest.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
from msgspec import Struct

from plimsoll.errors import TargetError
from plimsoll.images.base import Base, BaseLayer
from plimsoll.images.layers import NOBODY, Layer, LayerStore
from plimsoll.registry.layout import MANIFEST, Descriptor
from plimsoll.registry.references import Reference
from plimsoll.registry.repository import Repository

CONFIG = "application/vnd.oci.image.config.v1+json"
AT_ONCE = 4
_JOINED = frozenset({"PATH", "PYTHONPATH"})
"""Variables whose new value goes before the base's, with a colon between."""


class Image(Struct, frozen=True, kw_only=True):
    """An image that is not anywhere yet. The same base, layers and settings give the same `digest`."""

    manifest: bytes
    config: bytes
    layers: tuple[BaseLayer, ...]

    @property
    def digest(self) -> str:
        """Of the manifest."""
        return "sha256:" + hashlib.sha256(self.manifest).hexdigest()


class Pushed(Struct, frozen=True, kw_only=True):
    """Where an image is, by digest, and what it took: bytes of bodies sent, and how many blobs were sent or mounted."""

    reference: Reference
    sent: int
    blobs_sent: int
    blobs_mounted: int


def compose(
    base: Base,
    layers: Sequence[Layer],
    *,
    environment: Mapping[str, str] | None = None,
    workdir: str = "",
    command: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    user: str = f"{NOBODY}:{NOBODY}",
) -> Image:
    """Put layers on a base. PATH and PYTHONPATH go before the base's, other variables in their place.

    `command` replaces the base's entrypoint and command; without it they stay.
    """
    settings: dict[str, Any] = {**(base.config.get("config") or {}), "User": user}
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
    config = _encoded(content)
    on_top = [BaseLayer(descriptor=each.descriptor, diff_id=each.diff_id, path=each.path) for each in layers]
    everything = (*base.layers, *on_top)
    described = Descriptor(media_type=CONFIG, digest="sha256:" + hashlib.sha256(config).hexdigest(), size=len(config))
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
    return Image(manifest=_encoded(manifest), config=config, layers=everything)


def push_image(
    image: Image, repository: Repository, store: LayerStore, *, tag: str = "", mount_from: Sequence[str] = ()
) -> Pushed:
    """Have an image in a repository. Blobs that are there are left alone; those of the base, or of the repositories
    `mount_from` of the same registry, are mounted; the rest is sent, through this disk when it is elsewhere.

    A push that is killed leaves nothing that can be pulled. Raises RegistryError, TargetError.
    """
    before = repository.connection.sent
    sent = mounted = 0
    if not repository.has_manifest(image.digest):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            unique = list({each.descriptor.digest: each for each in image.layers}.values())
            how = list(pool.map(lambda each: _push_layer(each, repository, store, mount_from), unique))
        sent, mounted = how.count("sent"), how.count("mounted")
        sent += _push_config(image, repository, store)
        repository.push_manifest(image.manifest, MANIFEST)
    if tag and repository.has_manifest(tag) != image.digest:
        repository.push_manifest(image.manifest, MANIFEST, tag=tag)
    return Pushed(
        reference=repository.reference.at(image.digest),
        sent=repository.connection.sent - before,
        blobs_sent=sent,
        blobs_mounted=mounted,
    )


def _push_config(image: Image, repository: Repository, store: LayerStore) -> bool:
    from plimsoll.files import replace_file

    digest = "sha256:" + hashlib.sha256(image.config).hexdigest()
    path = store.path(digest)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, image.config)
    except OSError as error:
        raise TargetError(f"an image's config cannot be kept: {error.strerror}", where=str(path)) from error
    return repository.push_blob(Descriptor(media_type=CONFIG, digest=digest, size=len(image.config)), path)


def _push_layer(layer: BaseLayer, repository: Repository, store: LayerStore, mount_from: Sequence[str]) -> str:
    digest = layer.descriptor.digest
    if repository.has_blob(digest):
        return "there"
    elsewhere = layer.reference
    sources = list(mount_from)
    if elsewhere is not None and elsewhere.registry == repository.reference.registry:
        sources.insert(0, elsewhere.repository)
    for source in sources:
        if source != repository.reference.repository and repository.mount_blob(digest, source):
            return "mounted"
    path = layer.path
    if path is None:
        assert elsewhere is not None  # noqa: S101 - a layer is here or there
        path = store.path(digest)
        # The access of the repository is for its own registry: another has its own settings.
        access = repository.connection.access if elsewhere.registry == repository.reference.registry else None
        with Repository(elsewhere, access) as other:
            other.pull_blob(layer.descriptor, path, f"the layer {digest} of {elsewhere}")
    repository.push_blob(layer.descriptor, path)
    return "sent"


def _environment(base: Base, added: Mapping[str, str]) -> list[str]:
    words = [str(word) for word in (base.config.get("config") or {}).get("Env") or []]
    found = dict(word.partition("=")[::2] for word in words)
    if "PATH" in added:
        # A base that sets none relies on the container runtime's, which is gone when we set one.
        found.setdefault("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    for name, value in added.items():
        found[name] = f"{value}:{found[name]}" if name in _JOINED and found.get(name) else value
    return [f"{name}={value}" for name, value in found.items()]


def _encoded(content: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(content, order="sorted")
