"""The documents of an image that others have made: each has the shape that we read from it, or is refused. Pure."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import TargetError
from plimsoll.registry.layout import Descriptor, JsonObject

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HINT = "choose a container image that can run"


class Platform(Struct, frozen=True):
    """What an image is for."""

    os: str | None = None
    architecture: str | None = None


class IndexEntry(Descriptor, frozen=True, kw_only=True, rename="camel"):
    """One manifest of an index."""

    platform: Platform | None = None
    annotations: dict[str, str] | None = None  # type: ignore[assignment]  # others write null


@decodable
class Index(Struct, frozen=True):
    """An index: of platforms, or of the names in a layout."""

    manifests: tuple[IndexEntry, ...] | None = None


@decodable
class ImageManifest(Struct, frozen=True):
    """A manifest: of one platform, or an index when it has `manifests`."""

    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] | None = None
    manifests: tuple[IndexEntry, ...] | None = None


class Settings(Struct, frozen=True, rename={"environment": "Env", "labels": "Labels"}):
    """What a container of the image has unless it is told otherwise."""

    environment: tuple[str, ...] | None = None
    labels: dict[str, str] | None = None


class RootFilesystem(Struct, frozen=True):
    """The digests of the layers before they were compressed."""

    diff_ids: tuple[str, ...] | None = None


@decodable
class ImageConfig(Struct, frozen=True):
    """The parts of a config that we read or add to."""

    os: str | None = None
    architecture: str | None = None
    config: Settings | None = None
    rootfs: RootFilesystem | None = None
    history: list[object] | None = None


Document = TypeVar("Document")


def document(content: bytes, shape: type[Document], name: str) -> Document:
    """A document of the image `name`. Raises TargetError when it has another shape."""
    try:
        return msgspec.json.decode(content, type=shape)
    except UNREADABLE as error:
        raise TargetError(f"this is not an image: {error}", where=name, hint=_HINT) from error


def image_config(content: bytes, name: str) -> tuple[ImageConfig, JsonObject]:
    """A config, and all of it as JSON. Raises TargetError when it has another shape."""
    return document(content, ImageConfig, name), document(content, JsonObject, name)


def checked_digest(descriptor: Descriptor | None, name: str) -> str:
    """The digest of a part of an image, which becomes a part of paths. Raises TargetError when there is none."""
    if descriptor is None or not _DIGEST.fullmatch(descriptor.digest):
        found = "a part of it is missing" if descriptor is None else f"'{descriptor.digest[:80]}' is no SHA-256 digest"
        raise TargetError(f"this is not an image: {found}", where=name, hint=_HINT)
    return descriptor.digest
