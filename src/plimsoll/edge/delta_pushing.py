"""Puts deltas between the models of two releases into the registry, for devices that have the former one."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from plimsoll.edge.documents import Delta, WantedService
from plimsoll.files import digest_of_file
from plimsoll.registry.layout import EMPTY_CONFIG, MANIFEST, Descriptor, Manifest
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.references import parse_reference
from plimsoll.registry.repository import Repository
from plimsoll.registry.versions import FileEntry, ModelVersion

ARTIFACT = "application/vnd.plimsoll.edge.deltas.v1"
DELTA_TYPE = "application/vnd.plimsoll.edge.delta.v1+zlib"
SMALLEST, LARGEST = 64 << 10, 2 << 30
"""Bytes of a file that is worth a delta, and of one that takes too long."""
WORTH = 0.8
"""A delta of more than this share of the file is not kept."""


def without_deltas(services: Sequence[WantedService]) -> tuple[WantedService, ...]:
    """What the services are, whichever way their models come to a device."""
    return tuple(replace(each, deltas=()) for each in services)


def with_deltas(
    services: Sequence[WantedService], former: Sequence[WantedService], models: ModelRegistry
) -> tuple[WantedService, ...]:
    """The services with deltas from the former models, where these are on this machine. Raises RegistryError."""
    before = {each.name: each for each in former}
    found = []
    for each in services:
        old = before.get(each.name)
        if old is None or old.reference == each.reference:
            # A service that stays as it is keeps its deltas, so that no device sees a change.
            same = old is not None and without_deltas([old]) == (each,)
            found.append(old if old is not None and same else each)
        else:
            found.append(replace(each, deltas=_deltas(old, each, models)))
    return tuple(found)


def _deltas(old: WantedService, new: WantedService, models: ModelRegistry) -> tuple[Delta, ...]:
    by_digest = {each.digest: each for each in models.versions()}
    reference = parse_reference(new.reference)
    one, other = by_digest.get(parse_reference(old.reference).digest), by_digest.get(reference.digest)
    # A former model that was cleaned away, or that a colleague released, has no files here.
    if one is None or other is None:
        return ()
    with tempfile.TemporaryDirectory() as directory, Repository(reference) as repository:
        deltas = tuple(_made(one, other, models, repository, Path(directory)))
        if deltas:
            _list(deltas, other, models, repository, Path(directory))
    return deltas


def _made(
    old: ModelVersion, new: ModelVersion, models: ModelRegistry, repository: Repository, directory: Path
) -> Iterator[Delta]:
    with contextlib.suppress(ImportError):  # the extra `serve` has NumPy; devices take whole files without it
        from plimsoll.edge.delta_making import make_delta

        for number, (base, file) in enumerate(_pairs(old, new)):
            packed = directory / str(number)
            size = make_delta(models.layout.path(base.digest), models.layout.path(file.digest), packed)
            if size <= WORTH * file.size:
                digest = digest_of_file(packed)
                repository.push_blob(Descriptor(media_type=DELTA_TYPE, digest=digest, size=size), packed)
                yield Delta(base=base.digest, file=file.digest, digest=digest, size=size)
            packed.unlink()


def _pairs(old: ModelVersion, new: ModelVersion) -> Iterator[tuple[FileEntry, FileEntry]]:
    """Files of one name that changed and are worth a delta."""
    for name, file in new.files.items():
        base = old.files.get(name)
        if base is not None and base.digest != file.digest and SMALLEST <= file.size <= LARGEST >= base.size:
            yield base, file


def _list(
    deltas: Sequence[Delta], version: ModelVersion, models: ModelRegistry, repository: Repository, directory: Path
) -> None:
    """Name the blobs in a manifest that refers to the model: registries collect what nothing names."""
    file = directory / "empty"
    file.write_bytes(b"{}")
    empty = Descriptor(media_type=EMPTY_CONFIG, digest=digest_of_file(file), size=2)
    repository.push_blob(empty, file)
    size = models.layout.path(version.digest).stat().st_size
    subject = Descriptor(media_type=MANIFEST, digest=version.digest, size=size)
    layers = tuple(Descriptor(media_type=DELTA_TYPE, digest=each.digest, size=each.size) for each in deltas)
    manifest = Manifest(artifact_type=ARTIFACT, config=empty, layers=layers, subject=subject)
    repository.push_referrer(manifest.encoded(), subject, ARTIFACT)
