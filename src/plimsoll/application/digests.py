"""Content digests of files and directories, cached by path, size and time so that no file is read twice."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from stat import S_ISREG

import msgspec

CHUNK = 1 << 20
IGNORED_DIRECTORIES = frozenset(
    {".plimsoll", "__pycache__", ".git", ".venv", "venv", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
)
"""Directories whose content does not count as part of an application."""


def is_ignored(directory: Path) -> bool:
    """Whether the content of a directory does not count, by its name."""
    return directory.name in IGNORED_DIRECTORIES


def files_below(
    directory: Path, without: Callable[[Path], bool] = is_ignored, above: tuple[tuple[int, int], ...] = ()
) -> Iterator[Path]:
    """Files below a directory in a fixed order, and directories that have none. Links to directories are followed.

    `without` names paths to leave out; `above` identifies the directories that lead here, so that a link back to one of
    them ends. Raises OSError for a directory that cannot be read.
    """
    state = directory.stat()
    here = (state.st_dev, state.st_ino)
    if here in above:
        return
    with os.scandir(directory) as entries:
        found = [(directory / entry.name, entry.is_dir()) for entry in sorted(entries, key=lambda entry: entry.name)]
    files = [path for path, is_directory in found if not is_directory and path.is_file() and not without(path)]
    directories = [path for path, is_directory in found if is_directory and not without(path)]
    yield from files
    if above and not files and not directories:
        yield directory
    for below in directories:
        yield from files_below(below, without, (*above, here))


class Digests:
    """SHA-256 of files, with a cache file. A lost or broken cache only costs time."""

    def __init__(self, cache: Path) -> None:
        self._path = cache
        self._changed = False
        try:
            self._known: dict[str, tuple[str, str]] = msgspec.json.decode(
                cache.read_bytes(), type=dict[str, tuple[str, str]]
            )
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            self._known = {}

    def of(self, path: Path) -> str:
        """The digest of a file, or of the names and contents of all files below a directory. Raises OSError."""
        return self.of_files(path, files_below(path)) if path.is_dir() else self._file(path)

    def _file(self, path: Path) -> str:
        stat = path.stat()
        if not S_ISREG(stat.st_mode):
            # A pipe or a device has no content to identify, and may never end.
            raise OSError(errno.EINVAL, "it is not a regular file")
        state = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"
        known = self._known.get(str(path))
        if known and known[0] == state:
            return known[1]
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
        self._known[str(path)] = (state, digest.hexdigest())
        self._changed = True
        return digest.hexdigest()

    def of_files(self, root: Path, paths: Iterable[Path]) -> str:
        """The digest of names, relative to `root`, and of the contents of files. Raises OSError."""
        digest = hashlib.sha256()
        for path in paths:
            name = os.fsencode(path.relative_to(root))
            digest.update(name + (b"/\0\n" if path.is_dir() else b"\0" + self._file(path).encode() + b"\n"))
        return digest.hexdigest()

    def save(self) -> None:
        """Write the cache file if it changed and its directory exists."""
        if not self._changed or not self._path.parent.is_dir():
            return
        temporary = self._path.with_name(f".{self._path.name}.{os.urandom(8).hex()}")
        try:
            temporary.write_bytes(msgspec.json.encode(dict(filter(_can_be_kept, self._known.items()))))
            temporary.rename(self._path)
        except OSError:
            # The cache is optional: the next call computes the digests again.
            temporary.unlink(missing_ok=True)


def _can_be_kept(entry: tuple[str, tuple[str, str]]) -> bool:
    """Whether a path can stand in the cache file, which is JSON: a name may have bytes that are no UTF-8."""
    try:
        entry[0].encode()
    except UnicodeEncodeError:
        return False
    return True
