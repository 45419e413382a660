"""The layer of a step's code: the files in its code digest, at the paths that the command expects.

The files are below `/workspace`. The working directory stands for the application file's directory, and files outside
of it (`../lib`) keep their path relative to it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from msgspec import Struct

from plimsoll.errors import FileError
from plimsoll.images.layers import NOBODY, Layer, LayerEntry, LayerStore

WORKSPACE = "workspace"


class CodeLayer(Struct, frozen=True, kw_only=True):
    """A layer of code. `workdir` is the absolute path in the image in which commands start."""

    layer: Layer
    workdir: str


def code_layer(store: LayerStore, directory: Path, files: Sequence[tuple[str, str]]) -> CodeLayer:
    """Pack files, given as pairs of `Workspace.code`: (path relative to `directory`, SHA-256 in hex).

    An empty digest is not checked. Raises TargetError for a file that has changed, FileError for an invalid path.
    """
    directory = directory.resolve()
    depth = max((_levels_up(name) for name, _ in files), default=0)
    if depth > len(directory.parts) - 1:
        raise FileError("a path of the code goes above the root folder", where=str(directory))
    inner = PurePosixPath(WORKSPACE, *directory.parts[len(directory.parts) - depth :])
    entries = [LayerEntry(path=str(inner), directory=True, owner=NOBODY)]
    about = hashlib.sha256(str(inner).encode())
    for name, digest in sorted(files):
        if Path(name).is_absolute():
            raise FileError(
                f"the code has an absolute path: {name}; use a path relative to the application file",
                where=str(directory),
            )
        source = directory / name
        executable = os.access(source, os.X_OK)
        path = os.path.normpath(inner / name)
        entries.append(LayerEntry(path=path, source=source, executable=executable, owner=NOBODY, sha256=digest))
        about.update(f"{path}\0{digest or _digest(source)}\0{executable}\n".encode())
    key = f"code-{about.hexdigest()}"
    return CodeLayer(layer=store.find(key) or store.add(key, entries), workdir=f"/{inner}")


def _levels_up(name: str) -> int:
    """The number of `..` in a normalised relative path."""
    return Path(os.path.normpath(name)).parts.count("..")


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(f"cannot read a file of the code: {error.strerror}", where=str(path)) from error
