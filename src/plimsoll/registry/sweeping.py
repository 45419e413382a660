"""What in a layout nothing leads to any more: blobs that no entry of the index reaches, and models opened once.

An index that was changed by something else, or a manifest that cannot be read, says nothing reliable of what is
needed: then nothing is swept.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import ModelRefused, TargetError
from plimsoll.registry.index_entries import SUBJECT_ANNOTATION
from plimsoll.registry.layout import MANIFEST, RESTORE_HINT, Descriptor, Layout, Manifest
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.opened import DIRECTORY, directory_name

GRACE = 3600.0
"""Seconds for which an opened model stays although its version is deleted: somebody may be about to serve it."""
BUSY_LIMIT = 5.0
"""Seconds to wait for those who read or pull models."""


def sweepable(registry: ModelRegistry, without: Collection[str] = (), used: Collection[str | Path] = ()) -> list[Path]:
    """Files and directories of a registry that nothing leads to.

    `without` has digests of versions that are about to be deleted, `used` paths that services read models from. Raises
    ModelRefused for an index that is not the one that was signed, or a manifest that cannot be read.
    """
    registry.require_index()
    layout = registry.layout
    if not layout.blobs.is_dir():
        return []
    reached, configs = _reached(layout, without)
    blobs = [path for path in sorted(layout.blobs.iterdir()) if path.name not in reached and path.name[:1] != "."]
    return [*blobs, *_opened(layout, configs, used), *_incoming(layout)]


@contextlib.contextmanager
def alone_in(registry: ModelRegistry) -> Iterator[None]:
    """Nobody opens, pulls or adds a model for as long as the block runs. Raises TargetError when somebody does."""
    with registry.layout.locked(), registry.layout.unused(BUSY_LIMIT) as alone:
        if not alone:
            message = "models are being read or pulled"
            raise TargetError(message, where=str(registry.layout.root), hint="try again when that has ended")
        yield


def _reached(layout: Layout, without: Collection[str]) -> tuple[set[str], set[str]]:
    """The names of the blobs that the index leads to, and of the directories that its models are opened in."""
    found: set[str] = set()
    configs: set[str] = set()
    for entry in layout.entries():
        subject = entry.annotations.get(SUBJECT_ANNOTATION)
        if entry.digest in without or subject in without:
            continue
        found.add(layout.path(entry.digest).name)
        if entry.media_type == MANIFEST:
            manifest = _manifest(layout, entry)
            found |= {layout.path(each.digest).name for each in (manifest.config, *manifest.layers)}
            configs.add(directory_name(manifest.config.digest))
    return found, configs


def _manifest(layout: Layout, entry: Descriptor) -> Manifest:
    try:
        return msgspec.json.decode(layout.read(entry, "a manifest of the registry"), type=Manifest)
    except UNREADABLE as error:
        text = f"a manifest of the registry cannot be read: {error}"
        raise ModelRefused(text, where=entry.digest, hint=RESTORE_HINT) from error


def _opened(layout: Layout, configs: set[str], used: Collection[str | Path]) -> list[Path]:
    directory = layout.root / DIRECTORY
    if not directory.is_dir():
        return []
    paths = [Path(path) for path in used]
    needed = configs | {path.relative_to(directory).parts[0] for path in paths if path.is_relative_to(directory)}
    return [path for path in sorted(directory.iterdir()) if path.name not in needed and _is_old(path)]


def _incoming(layout: Layout) -> list[Path]:
    """Files of pulls that were broken off long ago; the next pull would continue a fresh one."""
    directory = layout.root / "incoming"
    return [path for path in sorted(directory.iterdir()) if _is_old(path)] if directory.is_dir() else []


def _is_old(path: Path) -> bool:
    try:
        return path.lstat().st_mtime < time.time() - GRACE
    except OSError:
        return False
