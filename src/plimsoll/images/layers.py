"""Layers: reproducible archives of files, stored by the key of their inputs.

Source: the OCI Image Format specification 1.1, layer.md and descriptor.md. The compressed bytes depend on the files and
on the version of zlib; the digest of the uncompressed archive (`diff_id`) depends on the files alone.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import secrets
import shutil
import tarfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import TargetError
from plimsoll.files import flush, replace_file
from plimsoll.home import cache_home
from plimsoll.registry.layout import Descriptor

NOBODY = 65532
"""The user and group of our images; distroless images call it nonroot."""
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
COMPRESSION_LEVEL = 1
"""gzip's level: a layer of libraries is a fifth larger than at the default 6, and compresses three times as fast."""
_WORLD_WRITABLE = frozenset({"tmp", "var/tmp"})
UNUSED_LIMIT = 30 * 86400.0
"""Seconds after which an unused layer is removed."""
ABANDONED_LIMIT = 86400.0
"""Seconds after which an unfinished installation counts as killed and is removed."""


class LayerEntry(Struct, frozen=True, kw_only=True):
    """One entry of a layer: a file from `source` or with `content`, a symbolic link to `link`, or a folder.

    `path` is in the image, without a leading slash. Parent folders are added automatically. `owner` is a user id. A
    file of a user other than root is writable for that user and for group 0, because some clusters choose the user id.
    `sha256` is the expected digest of the content; empty means unknown.
    """

    path: str
    source: Path | None = None
    content: bytes = b""
    link: str = ""
    directory: bool = False
    executable: bool = False
    owner: int = 0
    sha256: str = ""


class Layer(Struct, frozen=True, kw_only=True):
    """A layer on this disk. `diff_id` is the digest of the uncompressed archive."""

    descriptor: Descriptor
    diff_id: str
    path: Path


class LayerStore:
    """A directory of layers, found by key or by digest. It is a cache and can be removed at any time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = root / "blobs"
        self.keys = root / "keys"

    @classmethod
    def default(cls) -> LayerStore:
        """The store of the current user, below XDG_CACHE_HOME."""
        return cls(cache_home() / "plimsoll" / "layers")

    def path(self, digest: str) -> Path:
        """The path of a blob, which may not exist."""
        return self.blobs / digest.removeprefix("sha256:")

    def find(self, key: str) -> Layer | None:
        """The layer of a key, or None when it does not exist or was removed."""
        try:
            kept = msgspec.json.decode((self.keys / f"{key}.json").read_bytes(), type=_LayerRecord)
            path = self.path(kept.descriptor.digest)
            if path.stat().st_size != kept.descriptor.size:
                return None
            os.utime(path)
            os.utime(self.keys / f"{key}.json")
        except (*UNREADABLE, OSError):
            return None
        return Layer(descriptor=kept.descriptor, diff_id=kept.diff_id, path=path)

    def add(self, key: str, entries: Iterable[LayerEntry]) -> Layer:
        """Pack entries and store the layer under a key. Raises TargetError when a file or the disk fails."""
        unfinished = self.blobs / f".{secrets.token_hex(8)}"
        try:
            self.blobs.mkdir(parents=True, exist_ok=True)
            self.keys.mkdir(parents=True, exist_ok=True)
            self._drop_unused()
            with unfinished.open("xb") as file:
                diff_id, digest = pack(entries, file)
                size = file.tell()
                file.flush()
                os.fsync(file.fileno())
            path = self.path(digest)
            unfinished.replace(path)
            flush(self.blobs)
            descriptor = Descriptor(media_type=LAYER_TYPE, digest=digest, size=size)
            replace_file(
                self.keys / f"{key}.json", msgspec.json.encode(_LayerRecord(descriptor=descriptor, diff_id=diff_id))
            )
        except OSError as error:
            hint = "free space on the disk, or set XDG_CACHE_HOME to a writable directory"
            raise TargetError(f"cannot store a layer: {error.strerror}", where=str(self.root), hint=hint) from error
        finally:
            unfinished.unlink(missing_ok=True)
        return Layer(descriptor=descriptor, diff_id=diff_id, path=path)

    def _drop_unused(self) -> None:
        now = time.time()
        for folder in (self.blobs, self.keys):
            for path in folder.iterdir():
                if now - _last_used(path) > UNUSED_LIMIT:
                    path.unlink(missing_ok=True)
        # Unpacked archives of base images, and unfinished installations of killed processes.
        left = [path for path in self.root.glob("unpacked/*") if now - _last_used(path) > UNUSED_LIMIT]
        left += [path for path in self.root.glob(".installing-*") if now - _last_used(path) > ABANDONED_LIMIT]
        for path in left:
            shutil.rmtree(path, ignore_errors=True)


def _last_used(path: Path) -> float:
    """When a file was last created or used. A file that has just been removed counts as new."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


@decodable
class _LayerRecord(Struct, frozen=True, kw_only=True):
    descriptor: Descriptor
    diff_id: str


class _HashingWriter:
    """A stream that hashes the bytes written to it."""

    def __init__(self, below: IO[bytes] | gzip.GzipFile) -> None:
        self.below = below
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self.below.write(data)

    def flush(self) -> None:
        self.below.flush()


def pack(entries: Iterable[LayerEntry], file: IO[bytes]) -> tuple[str, str]:
    """Write entries as a sorted, compressed archive. Returns the digests of the archive and of the compressed bytes."""
    outer = _HashingWriter(file)
    with gzip.GzipFile(filename="", mode="wb", compresslevel=COMPRESSION_LEVEL, fileobj=outer, mtime=0) as compressed:
        inner = _HashingWriter(compressed)
        with tarfile.open(fileobj=inner, mode="w|", format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]  # as above
            for entry in _with_folders(entries):
                _write_entry(archive, entry)
    return "sha256:" + inner.digest.hexdigest(), "sha256:" + outer.digest.hexdigest()


def _with_folders(entries: Iterable[LayerEntry]) -> list[LayerEntry | tuple[str, int]]:
    """Entries with their parent folders, each folder before its content. A folder is (path, owner)."""
    found: dict[str, LayerEntry | tuple[str, int]] = {}
    for entry in entries:
        path = entry.path.strip("/")
        found[path] = entry
        parent = path.rpartition("/")[0]
        while parent and parent not in found:
            found[parent] = (parent, entry.owner)
            parent = parent.rpartition("/")[0]
    return [found[path] for path in sorted(found, key=lambda path: path.split("/"))]


def _write_entry(archive: tarfile.TarFile, entry: LayerEntry | tuple[str, int]) -> None:
    """Write one entry without time and owner names; of its mode only the executable bit counts."""
    path, owner = (entry.path.strip("/"), entry.owner) if isinstance(entry, LayerEntry) else entry
    about = tarfile.TarInfo(path)
    about.uid = owner
    shared = 0o020 if owner else 0
    about.mode = 0o1777 if path in _WORLD_WRITABLE else 0o755 | shared
    if not isinstance(entry, LayerEntry) or entry.directory:
        about.type = tarfile.DIRTYPE
        archive.addfile(about)
    elif entry.link:
        about.type, about.linkname, about.mode = tarfile.SYMTYPE, entry.link, 0o777
        archive.addfile(about)
    elif entry.source is None:
        about.size, about.mode = len(entry.content), (0o755 if entry.executable else 0o644) | shared
        archive.addfile(about, io.BytesIO(entry.content))
    else:
        about.mode = (0o755 if entry.executable else 0o644) | shared
        _write_file(archive, about, entry.source, entry.sha256)


def _write_file(archive: tarfile.TarFile, about: tarfile.TarInfo, source: Path, sha256: str) -> None:
    try:
        with source.open("rb") as file:
            about.size = os.fstat(file.fileno()).st_size
            if sha256 and hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise TargetError("the file has changed since the plan was made", where=str(source), hint="run again")
            file.seek(0)
            archive.addfile(about, file)
    except OSError as error:
        reason = error.strerror or "it became shorter while it was read"
        raise TargetError(f"cannot read a file of the image: {reason}", where=str(source)) from error
