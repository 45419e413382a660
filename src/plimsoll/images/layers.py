"""Layers: archives of files without what differs between machines, kept by the key of what they were made from.

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

from plimsoll.decoding import decodable
from plimsoll.errors import TargetError
from plimsoll.files import flush, replace_file
from plimsoll.registry.layout import Descriptor

NOBODY = 65532
"""The user and group that images run as: the one that distroless images call nonroot."""
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
LEVEL = 1
"""Of compression: a layer of libraries is a fifth larger than at the usual 6 and made three times as fast."""
_SHARED = frozenset({"tmp", "var/tmp"})
KEPT = 30 * 86400.0
"""Seconds for which a layer that nobody asks for is kept."""


ABANDONED = 86400.0
"""Seconds after which an installation is taken for one that was killed."""


class Entry(Struct, frozen=True, kw_only=True):
    """One file of an image: from `source` on this machine, or of `content`, or a symbolic link to `link`, or a folder.

    `path` is in the image, without a slash before it. Folders of files come by themselves. `owner` is a user's number;
    what belongs to a user other than root may be written by it and by group 0, for clusters that choose the number
    themselves. `sha256` is what the content must have, when it is known.
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
    """A layer on this disk. `diff_id` is the digest of what is compressed in it."""

    descriptor: Descriptor
    diff_id: str
    path: Path


class LayerStore:
    """Layers by key and by digest in a directory, which can be removed at any time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = root / "blobs"
        self.keys = root / "keys"

    @classmethod
    def default(cls) -> LayerStore:
        """The caller's own, below XDG_CACHE_HOME."""
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return cls(Path(base) / "plimsoll" / "layers")

    def path(self, digest: str) -> Path:
        """Where a blob lies, or would."""
        return self.blobs / digest.removeprefix("sha256:")

    def find(self, key: str) -> Layer | None:
        """The layer that was made under a key, if it is still there."""
        try:
            kept = msgspec.json.decode((self.keys / f"{key}.json").read_bytes(), type=_Kept)
            path = self.path(kept.descriptor.digest)
            if path.stat().st_size != kept.descriptor.size:
                return None
            os.utime(path)
            os.utime(self.keys / f"{key}.json")
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        return Layer(descriptor=kept.descriptor, diff_id=kept.diff_id, path=path)

    def add(self, key: str, entries: Iterable[Entry]) -> Layer:
        """Pack entries and keep the layer under a key. Raises TargetError for a file or disk that does not do."""
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
            descriptor = Descriptor(media_type=LAYER, digest=digest, size=size)
            replace_file(self.keys / f"{key}.json", msgspec.json.encode(_Kept(descriptor=descriptor, diff_id=diff_id)))
        except OSError as error:
            hint = "free some space on the disk, or set XDG_CACHE_HOME to a directory that can be written"
            raise TargetError(f"a layer cannot be kept: {error.strerror}", where=str(self.root), hint=hint) from error
        finally:
            unfinished.unlink(missing_ok=True)
        return Layer(descriptor=descriptor, diff_id=diff_id, path=path)

    def _drop_unused(self) -> None:
        now = time.time()
        for folder in (self.blobs, self.keys):
            for path in folder.iterdir():
                if now - _used(path) > KEPT:
                    path.unlink(missing_ok=True)
        # Archives of bases, and what a killed process was installing.
        left = [path for path in self.root.glob("unpacked/*") if now - _used(path) > KEPT]
        left += [path for path in self.root.glob(".installing-*") if now - _used(path) > ABANDONED]
        for path in left:
            shutil.rmtree(path, ignore_errors=True)


def _used(path: Path) -> float:
    """When a file was last made or asked for; what is gone meanwhile counts as new."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


@decodable
class _Kept(Struct, frozen=True, kw_only=True):
    descriptor: Descriptor
    diff_id: str


class _Counted:
    """A stream that hashes what goes through it."""

    def __init__(self, below: IO[bytes] | gzip.GzipFile) -> None:
        self.below = below
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self.below.write(data)

    def flush(self) -> None:
        self.below.flush()


def pack(entries: Iterable[Entry], file: IO[bytes]) -> tuple[str, str]:
    """Write entries as a compressed archive, sorted; gives the digests of the archive and of the compressed bytes."""
    outer = _Counted(file)
    with gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=outer, mtime=0) as compressed:
        inner = _Counted(compressed)
        with tarfile.open(fileobj=inner, mode="w|", format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]  # as above
            for entry in _sorted(entries):
                _write(archive, entry)
    return "sha256:" + inner.digest.hexdigest(), "sha256:" + outer.digest.hexdigest()


def _sorted(entries: Iterable[Entry]) -> list[Entry | tuple[str, int]]:
    """Entries and their folders, each folder before what is in it. A folder is its path and owner."""
    found: dict[str, Entry | tuple[str, int]] = {}
    for entry in entries:
        path = entry.path.strip("/")
        found[path] = entry
        parent = path.rpartition("/")[0]
        while parent and parent not in found:
            found[parent] = (parent, entry.owner)
            parent = parent.rpartition("/")[0]
    return [found[path] for path in sorted(found, key=lambda path: path.split("/"))]


def _write(archive: tarfile.TarFile, entry: Entry | tuple[str, int]) -> None:
    """One entry: no time, no name of an owner, and of the mode only whether it is executable."""
    path, owner = (entry.path.strip("/"), entry.owner) if isinstance(entry, Entry) else entry
    about = tarfile.TarInfo(path)
    about.uid = owner
    shared = 0o020 if owner else 0
    about.mode = 0o1777 if path in _SHARED else 0o755 | shared
    if not isinstance(entry, Entry) or entry.directory:
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
        reason = error.strerror or "it has become shorter while it was read"
        raise TargetError(f"a file of an image cannot be read: {reason}", where=str(source)) from error
