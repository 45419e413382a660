"""The layer of a step's code: the files that its code digest names, where the command finds them.

They lie below `/workspace`, and the working directory is where the application file would be. Files outside of it
(`../lib`) keep their place relative to it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from msgspec import Struct

from plimsoll.errors import FileError
from plimsoll.images.layers import NOBODY, Entry, Layer, LayerStore

WORKSPACE = "workspace"


class CodeLayer(Struct, frozen=True, kw_only=True):
    """A layer with code and the working directory, an absolute path in the image, from which commands run."""

    layer: Layer
    workdir: str


def code_layer(store: LayerStore, directory: Path, files: Sequence[tuple[str, str]]) -> CodeLayer:
    """Pack files, given as (path relative to `directory`, SHA-256 in hex): the pairs of `Workspace.code`.

    An empty digest is not checked. Raises TargetError for a file that has changed since, FileError for one that cannot
    be where it is.
    """
    directory = directory.resolve()
    depth = max((_ups(name) for name, _ in files), default=0)
    if depth > len(directory.parts) - 1:
        raise FileError("a file of the code lies outside of every folder", where=str(directory))
    inner = PurePosixPath(WORKSPACE, *directory.parts[len(directory.parts) - depth :])
    entries = [Entry(path=str(inner), directory=True, owner=NOBODY)]
    about = hashlib.sha256(str(inner).encode())
    for name, digest in sorted(files):
        if Path(name).is_absolute():
            raise FileError(f"the code names a file by its place on this machine: {name}", where=str(directory))
        source = directory / name
        executable = os.access(source, os.X_OK)
        path = os.path.normpath(inner / name)
        entries.append(Entry(path=path, source=source, executable=executable, owner=NOBODY, sha256=digest))
        about.update(f"{path}\0{digest or _digest(source)}\0{executable}\n".encode())
    key = f"code-{about.hexdigest()}"
    return CodeLayer(layer=store.find(key) or store.add(key, entries), workdir=f"/{inner}")


def _ups(name: str) -> int:
    """How many folders up a normalised relative path goes."""
    return Path(os.path.normpath(name)).parts.count("..")


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(f"a file of the code cannot be read: {error.strerror}", where=str(path)) from error
