"""How much of the disk what runs keep takes. Links are not followed, and what has several names counts once."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.files import replace_file

Inodes = set[tuple[int, int]]
_Cache = dict[str, tuple[int, int]]
_NEWEST = 32
"""Entries of a directory that are counted anew each time: runs and results that may still grow are among them."""


def size_of(path: str | Path, seen: Inodes | None = None) -> int:
    """Bytes of a file, or of all files below a directory; 0 for what is gone or cannot be read.

    A file in `seen` does not count again.
    """
    seen = set() if seen is None else seen
    try:
        status = os.lstat(path)
    except OSError:
        return 0
    if not stat.S_ISDIR(status.st_mode):
        return _counted(status, seen)
    total, directories = 0, [os.fspath(path)]
    while directories:
        with contextlib.suppress(OSError), os.scandir(directories.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        directories.append(entry.path)
                    else:
                        total += _counted(entry.stat(follow_symlinks=False), seen)
    return total


def sizes_of_entries(directory: Path, cache: Path) -> int:
    """Bytes of a directory with many entries that seldom change, such as runs; `cache` keeps those of the older ones.

    An older entry is counted anew when the time of its directory has changed.
    """
    known = _read(cache)
    entries = sorted(_entries(directory), key=lambda entry: entry[1], reverse=True)
    counted = {}
    for number, (name, time, path) in enumerate(entries):
        before = known.get(name) if number >= _NEWEST else None
        counted[name] = before if before is not None and before[0] == time else (time, size_of(path))
    if len(entries) > _NEWEST and counted != known:
        # Where it cannot be written, everything is counted again the next time.
        with contextlib.suppress(OSError):
            replace_file(cache, msgspec.json.encode(counted), durable=False)
    return sum(size for _, size in counted.values())


def _counted(status: os.stat_result, seen: Inodes) -> int:
    if not stat.S_ISREG(status.st_mode):
        return 0
    if status.st_nlink > 1:
        inode = (status.st_dev, status.st_ino)
        if inode in seen:
            return 0
        seen.add(inode)
    return status.st_size


def _entries(directory: Path) -> Iterator[tuple[str, int, str]]:
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(OSError, UnicodeEncodeError):
                entry.name.encode()
                yield entry.name, entry.stat(follow_symlinks=False).st_mtime_ns, entry.path


def _read(cache: Path) -> Mapping[str, tuple[int, int]]:
    try:
        return msgspec.json.decode(cache.read_bytes(), type=_Cache)
    except (*UNREADABLE, OSError):
        return {}
