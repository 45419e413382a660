"""Read tar archives of others: files only, by plain names, within bounds.

Nothing is extracted by `tarfile` itself. Links in an archive can lead out of the directory that it is unpacked into, on
some Pythons past its filters too; here no link is ever made, so that there is none to lead anywhere.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from msgspec import Struct

from plimsoll.files import open_regular

MOST_ENTRIES = 100_000
MOST_HEADER_BYTES = 8 << 20
"""Bytes that are read at once: extended headers are read whole, and a compressed one may be of any size."""
GROWTH = 50
"""Times its own size that an archive may unpack to, beyond the bytes that every archive may have."""
ALWAYS_ALLOWED = 256 << 20
_CHUNK = 1 << 20


class BadArchive(Exception):
    """The archive cannot be read, or must not be unpacked; the message says why."""


class ArchiveFile(Struct, frozen=True):
    """A regular file or a directory of an archive. `name` is relative, without `..`; `mode` has permission bits."""

    name: str
    mode: int
    content: IO[bytes] | None

    def write(self, path: Path) -> None:
        """Write the file to a path that does not exist. Raises OSError, BadArchive."""
        assert self.content is not None  # noqa: S101 - directories have no content
        with path.open("xb") as file:
            try:
                shutil.copyfileobj(self.content, file, _CHUNK)
            except _ERRORS as error:
                raise BadArchive(str(error) or type(error).__name__) from error


class _Bounded:
    """A file that gives at most so many bytes, as `tarfile` reads it. No read is larger than a header may be."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        self._file = file
        self._left = most

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > MOST_HEADER_BYTES:
            raise BadArchive(f"it has a header of more than {MOST_HEADER_BYTES} bytes")
        content = self._file.read(size)
        self._left -= len(content)
        self._check()
        return content

    def seek(self, position: int) -> int:
        before = self._file.tell()
        self._left -= max(0, position - before)
        self._check()
        return self._file.seek(position)

    def tell(self) -> int:
        return self._file.tell()

    def _check(self) -> None:
        if self._left < 0:
            raise BadArchive("it unpacks to far more bytes than it has")


def read_archive(path: Path, *, compressed: bool = False) -> Iterator[ArchiveFile]:
    """The files and directories of an archive, in its order; each is to be written before the next.

    Raises BadArchive for an archive with other entries or names, one that is damaged, or one that unpacks to far more
    than its size. Raises OSError when it cannot be read.
    """
    with open_regular(path) as raw:
        size = path.stat().st_size
        magic = raw.read(6)
        raw.seek(0)
        file = _decompressed(raw, magic) if compressed else raw
        most = ALWAYS_ALLOWED + (1 if file is raw else GROWTH) * size
        bounded: Any = _Bounded(file, most)  # Any: it has what tarfile needs of a file
        try:
            with tarfile.open(fileobj=bounded, mode="r:") as archive:
                yield from _entries(archive)
        except _ERRORS as error:
            raise BadArchive(str(error) or type(error).__name__) from error


def _decompressed(raw: IO[bytes], magic: bytes) -> IO[bytes]:
    """The file's content, by the first bytes of the file."""
    if magic.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(raw))
    if magic.startswith(b"BZh"):
        return cast("IO[bytes]", bz2.open(raw))
    return cast("IO[bytes]", lzma.open(raw)) if magic == b"\xfd7zXZ\x00" else raw


_ERRORS = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, ValueError, OverflowError)


def _entries(archive: tarfile.TarFile) -> Iterator[ArchiveFile]:
    for number, entry in enumerate(archive):
        # What was listed is kept otherwise, for as long as the archive is open.
        archive.members = []  # type: ignore[attr-defined]
        if number >= MOST_ENTRIES:
            raise BadArchive(f"it has more than {MOST_ENTRIES} entries")
        name = _plain_name(entry.name)
        if entry.isdir():
            yield ArchiveFile(name, entry.mode & 0o777, None)
        elif entry.isreg() and not entry.issparse():
            yield ArchiveFile(name, entry.mode & 0o777, archive.extractfile(entry))
        else:
            raise BadArchive(f"'{entry.name[:200]}' is neither a plain file nor a directory")


def _plain_name(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise BadArchive(f"'{name[:200]}' leads out of the directory")
    return path.as_posix()
