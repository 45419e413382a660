"""Versions and files of a registry that go with a clean, and their removal."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from plimsoll.engine.cleaning.kept import Kept
from plimsoll.engine.cleaning.removals import REGISTRY, VERSIONS, Removal
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.sweeping import alone_in, sweepable
from plimsoll.registry.versions import ModelVersion
from plimsoll.state.removing import remove_whole
from plimsoll.state.sizes import Inodes, size_of
from plimsoll.targets.features import VersionUse


class RegistryWaste(Struct, frozen=True, kw_only=True):
    """Versions that go, the files that go with them, and the digests of the versions that stay."""

    versions: tuple[ModelVersion, ...] = ()
    files: tuple[Path, ...] = ()
    stay: frozenset[str] = frozenset()

    def removals(self) -> list[Removal]:
        """What goes, by name and size. The sizes are those of the files."""
        seen: Inodes = set()
        versions = [Removal(kind=VERSIONS, name=version.reference) for version in self.versions]
        files = [
            Removal(kind=REGISTRY, name=path.name, size=size_of(path, seen), path=str(path)) for path in self.files
        ]
        return [*versions, *files]


def registry_waste(registry: ModelRegistry, kept: Collection[Kept], uses: Collection[VersionUse]) -> RegistryWaste:
    """What goes of a registry: versions that missed their bounds, unless a tag, a service or a kept run has them.

    Raises ModelRefused for a registry whose index is not the one that was signed.
    """
    registry.require_index()
    tagged, used = registry.tags(), {use.reference for use in uses}
    made = frozenset[str]().union(*(each.versions for each in kept))
    versions = registry.versions()
    going = tuple(
        version
        for version in versions
        if not version.accepted
        and version.digest not in tagged
        and version.digest not in made
        and version.reference not in used
    )
    gone = {version.digest for version in going}
    files = [file for use in uses for file in use.files]
    return RegistryWaste(
        versions=going,
        files=tuple(sweepable(registry, without=gone, used=files)),
        stay=frozenset(version.digest for version in versions) - gone,
    )


def remove_waste(registry: ModelRegistry, find: Callable[[], RegistryWaste], aside: Path) -> list[Removal]:
    """Remove what `find` finds while nobody else reads or writes models; returns what has gone.

    The index is written first: a version that is listed has all of its blobs at any moment.
    """
    if not registry.layout.root.is_dir():
        return []
    going = find()
    if going.versions:
        registry.delete(going.versions)
    with alone_in(registry):
        waste = replace(find(), versions=going.versions)
        gone = waste.removals()
        for path in waste.files:
            remove_whole(path, aside)
    return gone
