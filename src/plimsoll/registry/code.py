"""The code of a version: files by digest beside it in the registry, and back into a directory.

The digests are those of the version's lineage, which is signed: what a file is called and what is in it is certain.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import FileError, ModelRefused, TargetError
from plimsoll.files import replace_file
from plimsoll.registry.index_entries import SUBJECT_ANNOTATION
from plimsoll.registry.layout import MANIFEST, RESTORE_HINT, TITLE_ANNOTATION, Descriptor, Layout, Manifest
from plimsoll.registry.versions import ModelVersion

CODE_ARTIFACT = "application/vnd.plimsoll.code.v1"
CODE_FILE = "application/vnd.plimsoll.code.file.v1"
MAX_PULLED = 64 << 20
"""Bytes of the code of a version that is pulled."""
APPLICATION = "application"
"""The directory of the application below the one that is written, when its code reaches out of it."""


def add_code(
    layout: Layout, subject: Descriptor, config: Descriptor, files: Mapping[str, Path], annotations: dict[str, str]
) -> Descriptor | None:
    """Add the files of a version's code to a layout; gives the entry for the index, and None without files."""
    if not files:
        return None
    layers = (
        layout.add_file(path, CODE_FILE, annotations={TITLE_ANNOTATION: name}) for name, path in sorted(files.items())
    )
    manifest = Manifest(
        artifact_type=CODE_ARTIFACT,
        config=config,
        layers=tuple(layers),
        subject=Descriptor(media_type=MANIFEST, digest=subject.digest, size=subject.size),
    )
    return layout.add_bytes(manifest.encoded(), MANIFEST, artifact_type=CODE_ARTIFACT, annotations=annotations)


def code_of(layout: Layout, version: ModelVersion) -> dict[str, Descriptor]:
    """The files of a version's code that lie in a layout, by name; empty for a version without its code."""
    found: dict[str, Descriptor] = {}
    for entry in layout.entries():
        about = entry.annotations.get(SUBJECT_ANNOTATION)
        if entry.artifact_type == CODE_ARTIFACT and about == version.digest:
            found |= lineage_files(_manifest(layout, entry, version), version)
    return {name: each for name, each in found.items() if layout.path(each.digest).exists()}


def lineage_files(manifest: Manifest, version: ModelVersion) -> dict[str, Descriptor]:
    """The files of a manifest that are what the lineage says, by name; others are nobody's."""
    titled = ((each.annotations.get(TITLE_ANNOTATION, ""), each) for each in manifest.layers)
    return {name: each for name, each in titled if each.digest == f"sha256:{version.lineage.code.get(name, '')}"}


def read_code_manifest(content: bytes, version: ModelVersion) -> Manifest | None:
    """A manifest from elsewhere, when all of its files are of the version's lineage and not too many; else None."""
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except UNREADABLE:
        return None
    about = manifest.subject.digest if manifest.subject else ""
    is_whole = len(lineage_files(manifest, version)) == len(manifest.layers) > 0
    size = sum(each.size for each in (manifest.config, *manifest.layers))
    return manifest if about == version.digest and is_whole and size <= MAX_PULLED else None


def write_code(layout: Layout, version: ModelVersion, directory: Path) -> tuple[Path, list[str]]:
    """Write a version's code into a directory; gives the directory of the application in it, and what was written.

    A directory with exactly these files, or some of them, is completed. Raises FileError for one with anything else,
    ModelRefused for a version without code, or with names that lead elsewhere.
    """
    found = code_of(layout, version)
    if not found:
        message = f"{version.reference} was registered without its code"
        raise ModelRefused(
            message,
            where=str(layout.root),
            hint="versions that are registered from now on keep it: run the training again with --force",
        )
    up, places = _places(found, version)
    root = directory.joinpath(*[APPLICATION] * up)
    wanted = {place: layout.read(found[name], f"{name} of {version.reference}") for name, place in places.items()}
    _require_nothing_else(directory, wanted)
    try:
        for place, content in wanted.items():
            path = directory / place
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content)
            if content.startswith(b"#!"):
                path.chmod(path.stat().st_mode | 0o111)
    except OSError as error:
        hint = "name a directory that can be written"
        raise TargetError(f"cannot write the code: {error.strerror}", where=str(directory), hint=hint) from error
    return root, sorted(str(place) for place in wanted)


def _places(files: Mapping[str, Descriptor], version: ModelVersion) -> tuple[int, dict[str, PurePosixPath]]:
    """Where each file goes below the directory; and how many directories the application is below it.

    Code that was reached by `..` lies beside the application's own directory. Raises ModelRefused for hostile names.
    """
    up = max(_leading(name) for name in files)
    places: dict[str, PurePosixPath] = {}
    for name in files:
        path = PurePosixPath(name)
        parts = path.parts
        outward = _leading(name)
        inner = parts[outward:]
        odd = path.is_absolute() or not inner or str(path) != name or ".." in inner or not name.isprintable()
        if odd or any(part == ".git" for part in inner):
            raise _hostile(version, name)
        places[name] = PurePosixPath(*[APPLICATION] * (up - outward), *inner)
    taken = set(places.values())
    for name, place in places.items():
        if len(taken) != len(places) or any(parent in taken for parent in place.parents):
            raise _hostile(version, name)
    return up, places


def _leading(name: str) -> int:
    parts = PurePosixPath(name).parts
    return next((number for number, part in enumerate(parts) if part != ".."), len(parts))


def _hostile(version: ModelVersion, name: str) -> ModelRefused:
    return ModelRefused(
        f"{version.reference} has code under the name {name!r}, which cannot be written safely", where=version.digest
    )


def _require_nothing_else(directory: Path, wanted: Mapping[PurePosixPath, bytes]) -> None:
    """Raise FileError for a directory that has anything but some of these files."""
    parents = {parent for place in wanted for parent in place.parents}
    hint = "name a directory that does not exist yet, or an empty one"
    try:
        if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
            raise FileError("it is no directory", where=str(directory), hint=hint)
        waiting = [PurePosixPath()] if directory.exists() else []
        while waiting:
            below = waiting.pop()
            with os.scandir(directory / below) as entries:
                for entry in entries:
                    place = below / entry.name
                    if entry.is_dir(follow_symlinks=False) and place in parents:
                        waiting.append(place)
                    elif not _is_same(entry, wanted.get(place)):
                        raise FileError(f"it has other content: {place}", where=str(directory), hint=hint)
    except OSError as error:
        raise FileError(f"it cannot be read: {error.strerror}", where=str(error.filename), hint=hint) from error


def _is_same(entry: os.DirEntry[str], content: bytes | None) -> bool:
    status = entry.stat(follow_symlinks=False)
    if content is None or not stat.S_ISREG(status.st_mode) or status.st_size != len(content):
        return False
    return Path(entry.path).read_bytes() == content


def _manifest(layout: Layout, entry: Descriptor, version: ModelVersion) -> Manifest:
    try:
        return msgspec.json.decode(layout.read(entry, f"the code of {version.reference}"), type=Manifest)
    except UNREADABLE as error:
        text = f"the code of {version.reference} cannot be read: {error}"
        raise ModelRefused(text, where=entry.digest, hint=RESTORE_HINT) from error
