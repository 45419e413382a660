"""What a bill of materials is about, whatever its format: a model or an environment. Pure."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from plimsoll.registry.versions import ModelVersion
from plimsoll.supply.packages import Package

_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_NAMESPACE = uuid.UUID("6f1c0a5e-5a0f-5c0b-9c5e-2f9d0a3f1b77")
"""Of names that are made of content, so that the same content has the same name everywhere."""


class Material(Struct, frozen=True, kw_only=True):
    """A file, a dataset or a piece of code. `sha256` is empty where its digest is of another kind, as `digest` says."""

    name: str
    digest: str

    @property
    def sha256(self) -> str:
        """The SHA-256 in hexadecimal digits, or empty."""
        match = _SHA256.fullmatch(self.digest)
        return match[1] if match else ""


class Inventory(Struct, frozen=True, kw_only=True):
    """The subject of a bill of materials. `base` is the model that an adapter is of.

    `packages` is None where nobody knows what was installed, as `gap` says.
    """

    name: str
    version: str
    is_model: bool
    created: datetime
    digest: str = ""
    licence: str = ""
    framework: str = ""
    source: str = ""
    author: str = ""
    files: tuple[Material, ...] = ()
    data: tuple[Material, ...] = ()
    code: tuple[Material, ...] = ()
    base: Material | None = None
    metrics: Mapping[str, float] = {}
    packages: tuple[Package, ...] | None = None
    gap: str = ""

    def uuid(self, what: str) -> str:
        """A UUID of this content and of a purpose."""
        return str(uuid.uuid5(_NAMESPACE, what + msgspec.json.encode(self, order="deterministic").decode()))

    @property
    def moment(self) -> str:
        """When it was made, as RFC 3339 has it."""
        return f"{self.created.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def of_model(version: ModelVersion, packages: tuple[Package, ...] | None, gap: str = "") -> Inventory:
    """The inventory of a version: its files, what it was trained on and with, and the packages, if they are known."""
    lineage = version.lineage
    origin = lineage.origin
    return Inventory(
        name=version.name,
        version=str(version.version),
        is_model=True,
        created=version.created,
        digest=version.digest,
        licence=origin.licence if origin else "",
        framework="" if version.framework == "none" else version.framework,
        source=origin.source if origin else "",
        author=version.author,
        files=tuple(Material(name=name, digest=entry.digest) for name, entry in sorted(version.files.items())),
        data=tuple(Material(name=name, digest=digest) for name, digest in sorted(lineage.data.items())),
        code=tuple(Material(name=name, digest=digest) for name, digest in sorted(lineage.code.items())),
        base=Material(name=lineage.base.reference, digest=lineage.base.digest) if lineage.base else None,
        metrics=version.metrics,
        packages=packages,
        gap=gap,
    )


def of_environment(name: str, packages: tuple[Package, ...], created: datetime) -> Inventory:
    """The inventory of an environment."""
    return Inventory(name=name, version="", is_model=False, created=created, packages=packages)
