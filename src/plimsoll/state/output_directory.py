"""What is in the output directory of a step, and what of it is the step's own.

The regular files and directories in it are its own, and links to one of them. What a link to elsewhere, a FIFO or a
device gives may be another thing tomorrow: it is no part of a result.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from msgspec import Struct


class Kind(Enum):
    """What an entry is. A link of the step's own is `LINK` whatever it leads to; all that is not own is `FOREIGN`."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    FOREIGN = "foreign"


class Entry(Struct, frozen=True):
    """One entry of an output directory, by its name in it and by its path."""

    name: str
    path: str
    kind: Kind


def entries(output: str | Path) -> Iterator[Entry]:
    """Everything below an output directory, directories before what is in them. Directories are not left by links."""
    directories = [("", os.fspath(output))]
    while directories:
        prefix, directory = directories.pop()
        # A directory that cannot be read has no files that a later step could read.
        with contextlib.suppress(PermissionError), os.scandir(directory) as found:
            for each in found:
                entry = Entry(prefix + each.name, each.path, _kind(each, output))
                if entry.kind is Kind.DIRECTORY:
                    directories.append((f"{entry.name}/", entry.path))
                yield entry


def own_files(output: Path) -> Iterator[tuple[str, int]]:
    """Name and size in bytes of each file of an output directory's own, also by links."""
    for entry in entries(output):
        if entry.kind is Kind.FILE or entry.kind is Kind.LINK:
            # A link may have lost its file since it was looked at.
            with contextlib.suppress(OSError):
                status = os.stat(entry.path)
                if stat.S_ISREG(status.st_mode):
                    yield entry.name, status.st_size


def is_own(path: Path, output: Path) -> bool:
    """Whether a path is a directory or file of an output directory's own, or a link to one."""
    if path.parent == output:
        with contextlib.suppress(OSError):
            if stat.S_ISREG(os.lstat(path).st_mode):
                return True
    return _leads_into(path, output)


def keep_links_inside(output: str | Path, entry: Entry) -> None:
    """Make an absolute link relative that leads to its own output directory, so that the directory can be moved."""
    target = os.path.normpath(os.readlink(entry.path))
    roots = (os.path.abspath(output), os.path.realpath(output))
    root = next((root for root in roots if target == root or target.startswith(root + os.sep)), None)
    if root is not None:
        beside = os.path.join(root, os.path.dirname(entry.name))
        os.unlink(entry.path)
        os.symlink(os.path.relpath(target, beside), entry.path)


def _kind(entry: os.DirEntry[str], output: str | Path) -> Kind:
    if entry.is_file(follow_symlinks=False):
        return Kind.FILE
    if entry.is_symlink():
        return Kind.LINK if _leads_into(entry.path, output) else Kind.FOREIGN
    return Kind.DIRECTORY if entry.is_dir(follow_symlinks=False) else Kind.FOREIGN


def _leads_into(path: str | Path, output: str | Path) -> bool:
    """Whether a path leads to a file or directory of an output directory, or to the directory itself."""
    root = os.path.realpath(output)
    try:
        real = os.path.realpath(path, strict=True)
        mode = os.stat(real).st_mode
    except OSError:
        return False
    return (real == root or real.startswith(root + os.sep)) and (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
