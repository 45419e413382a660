"""Makes the plain files of a vault from the sealed ones: all of them whole, or an error that names a broken one."""

from __future__ import annotations

import os
from pathlib import Path

from plimsoll.errors import TargetError
from plimsoll.vault.index import Entry, Index, as_path
from plimsoll.vault.problems import RESTORE, SealedDamaged
from plimsoll.vault.stream import open_stream

OBJECTS = "objects"


def open_files(index: Index, sealed: Path, into: Path, key: bytes) -> None:
    """Write all files of an index into an empty directory. Raises SealedDamaged, and TargetError where none fits."""
    known: dict[str, Path] = {}
    for entry in sorted(index.entries, key=lambda entry: entry.path):
        path = _place(into, entry)
        try:
            _make(entry, path, known, sealed, index.vault, key)
        except OSError as error:
            raise TargetError(
                f"cannot open {as_path(entry.path)} ({entry.size} bytes): {error.strerror}",
                where=str(into),
                hint="free memory, or name a directory for plain files: spec.encryption.workspace",
            ) from error
    # Deepest first: making what is below changes the time of a directory.
    for entry in sorted(index.entries, key=lambda entry: entry.path, reverse=True):
        if entry.kind == "directory":
            path = _place(into, entry)
            path.chmod(entry.mode)
            os.utime(path, ns=(entry.changed, entry.changed))


def _place(into: Path, entry: Entry) -> Path:
    relative = as_path(entry.path)
    if relative.startswith("/") or ".." in relative.split("/") or not relative:
        raise SealedDamaged(f"the index names a file outside of the state: {relative!r}", where=str(into), hint=RESTORE)
    return into / relative


def _make(entry: Entry, path: Path, known: dict[str, Path], sealed: Path, vault: str, key: bytes) -> None:
    if entry.kind == "directory":
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    elif entry.kind == "link":
        path.symlink_to(as_path(entry.target))
    elif entry.object in known:
        os.link(known[entry.object], path)
    else:
        _write(entry, path, sealed, vault, key)
        known[entry.object] = path


def _write(entry: Entry, path: Path, sealed: Path, vault: str, key: bytes) -> None:
    source = sealed / OBJECTS / entry.object
    try:
        file = source.open("rb")
    except OSError as error:
        message = f"the sealed content of {as_path(entry.path)} is gone: {error.strerror}"
        raise SealedDamaged(message, where=str(source), hint=RESTORE) from error
    with file, path.open("xb") as plain:
        for chunk in open_stream(file, key, object_name(vault, entry.object), f"{source} ({as_path(entry.path)})"):
            plain.write(chunk)
        os.fchmod(plain.fileno(), entry.mode)
    os.utime(path, ns=(entry.changed, entry.changed))


def object_name(vault: str, identity: str) -> bytes:
    """What is authenticated with each part of an object: it is this one, and of this vault."""
    return f"{vault}/{identity}".encode()
