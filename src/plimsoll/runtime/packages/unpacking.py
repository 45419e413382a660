"""Takes single files out of the archive of a package: a wheel or jar (zip), or a tar archive.

A file is found by its name and written under another, so that no name in an archive decides where anything is written.
"""

from __future__ import annotations

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any

from plimsoll.archives import ALWAYS_ALLOWED, GROWTH, MOST_ENTRIES, ArchiveFile, BadArchive, read_archive
from plimsoll.errors import TargetError
from plimsoll.files import open_regular

MODEL_ENDINGS = (".onnx", ".gguf", ".safetensors", ".tflite", ".bin", ".pt")
METADATA = ("METADATA", "PKG-INFO")
_MOST_METADATA = 1 << 20
_CHUNK = 1 << 20
_SHOWN = 6


def names_in(archive: Path) -> list[str]:
    """The names of all files of an archive. Raises BadArchive, OSError."""
    return [entry.name for entry in _entries(archive) if entry.content is not None]


def the_file(names: list[str], pattern: str, what: str) -> str:
    """The one name that a pattern fits, as a whole or from a `/` on. Raises TargetError for none and for several."""
    found = [name for name in names if fnmatchcase(name, pattern) or fnmatchcase(name.rpartition("/")[2], pattern)]
    if len(found) == 1:
        return found[0]
    if found:
        message = f"{len(found)} files of the package fit '{pattern}': {_listed(found)}"
        raise TargetError(message, where=what, hint="name one of them after the #", lasting=True)
    models = [name for name in names if name.lower().endswith(MODEL_ENDINGS)]
    hint = f"it has {_listed(models)}" if models else f"it has {len(names)} files, and none is named like a model"
    raise TargetError(f"no file of the package fits '{pattern}'", where=what, hint=hint, lasting=True)


def take(archive: Path, wanted: dict[str, Path]) -> None:
    """Write files of an archive to the paths that are given for their names. Raises BadArchive, OSError."""
    left = dict(wanted)
    for entry in _entries(archive):
        if entry.content is not None and entry.name in left:
            entry.write(left.pop(entry.name))
            if not left:
                return


def python_licence(archive: Path) -> str:
    """The licence in the metadata of a Python package; empty without one. Source: core metadata 2.4."""
    for entry in _entries(archive):
        folder, _, name = entry.name.rpartition("/")
        if entry.content is not None and name in METADATA and folder.count("/") == 0:
            try:
                text = entry.content.read(_MOST_METADATA).decode("utf-8", errors="replace")
            except _ERRORS as error:
                raise BadArchive(str(error) or type(error).__name__) from error
            return _of_metadata(text.partition("\n\n")[0].splitlines())
    return ""


def _of_metadata(lines: list[str]) -> str:
    for field in ("License-Expression:", "License:"):
        for line in lines:
            value = line.removeprefix(field).strip()
            if line.startswith(field) and value and value.upper() != "UNKNOWN":
                return value[:200]
    classifiers = [line.rpartition("::")[2].strip() for line in lines if line.startswith("Classifier: License ::")]
    return classifiers[0] if len(classifiers) == 1 else ""


def _entries(archive: Path) -> Iterator[ArchiveFile]:
    with open_regular(archive) as file:
        is_zip = file.read(4) == b"PK\x03\x04"
    return _of_zip(archive) if is_zip else read_archive(archive, compressed=True)


def _of_zip(path: Path) -> Iterator[ArchiveFile]:
    most = ALWAYS_ALLOWED + GROWTH * path.stat().st_size
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if len(entries) > MOST_ENTRIES:
                raise BadArchive(f"it has more than {MOST_ENTRIES} entries")
            for entry in entries:
                kind = stat.S_IFMT(entry.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise BadArchive(f"'{entry.filename[:200]}' is neither a plain file nor a directory")
                if entry.file_size > most:
                    raise BadArchive("it unpacks to far more bytes than it has")
                if entry.is_dir():
                    yield ArchiveFile(entry.filename, 0, None)
                else:
                    content: Any = _ZipContent(archive, entry)  # Any: it has what copying needs of a file
                    yield ArchiveFile(entry.filename, 0o644, content)
    except _ERRORS as error:
        raise BadArchive(str(error) or type(error).__name__) from error


class _ZipContent:
    """The content of one entry, which is opened when it is read. It gives no more bytes than the archive says."""

    def __init__(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
        self._archive = archive
        self._entry = entry
        self._file: IO[bytes] | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            if self._file is None:
                self._file = self._archive.open(self._entry)
            return self._file.read(size)
        except _ERRORS as error:
            raise BadArchive(str(error) or type(error).__name__) from error


# NotImplementedError is a compression that is not known, RuntimeError an encrypted entry.
_ERRORS = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, tarfile.TarError, NotImplementedError, RuntimeError, EOFError,
    ValueError,
)  # fmt: skip


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
