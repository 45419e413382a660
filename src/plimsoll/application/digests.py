"""Content digests of files and directories, cached by path, size and time so that no file is read twice."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

CHUNK = 1 << 20
IGNORED_DIRECTORIES = frozenset(
    {".plimsoll", "__pycache__", ".git", ".venv", "venv", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
)
"""Directories whose content does not count as part of an application."""


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
        return self._directory(path) if path.is_dir() else self._file(path)

    def _file(self, path: Path) -> str:
        stat = path.stat()
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

    def _directory(self, path: Path) -> str:
        digest = hashlib.sha256()
        for parent, directories, files in os.walk(path):
            directories[:] = sorted(set(directories) - IGNORED_DIRECTORIES)
            for name in sorted(files):
                file = Path(parent, name)
                if file.is_file():
                    digest.update(os.fsencode(file.relative_to(path)) + f"\0{self._file(file)}\n".encode())
        return digest.hexdigest()

    def save(self) -> None:
        """Write the cache file if it changed and its directory exists."""
        if not self._changed or not self._path.parent.is_dir():
            return
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
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
