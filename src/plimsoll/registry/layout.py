"""An OCI image layout: blobs by digest and an index, safe when a writer is killed and when others write.

Source: the OCI Image Format specification 1.1, image-layout.md and manifest.md.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import ModelRefused, TargetError
from plimsoll.files import flush, open_regular, replace_file
from plimsoll.locks import locked_file

JsonObject = dict[str, Any]
"""A JSON document of others, such as a manifest or an image config: fields that we do not know must be kept."""
CHUNK = 1 << 20
LEFT_AFTER = 3600.0
"""Seconds after which a file that is not whole is taken for a killed writer's."""
LOCK_LIMIT = 60.0
"""Seconds to wait for another writer. Adding a model copies its files once."""
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
EMPTY_CONFIG = "application/vnd.oci.empty.v1+json"
"""The type of the config of an artifact that has none: the two bytes `{}`."""
REFERENCE_ANNOTATION = "org.opencontainers.image.ref.name"
TITLE_ANNOTATION = "org.opencontainers.image.title"


@decodable
class Descriptor(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Type, digest and size of a blob. `size` is in bytes."""

    media_type: str
    digest: str
    size: int
    artifact_type: str | None = None
    annotations: dict[str, str] = {}


@decodable
class Manifest(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An artifact: its config, its files, and the manifest that it describes (`subject`)."""

    schema_version: int = msgspec.field(default=2)
    media_type: str = msgspec.field(default=MANIFEST)
    artifact_type: str = ""
    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    annotations: dict[str, str] = {}

    def encoded(self) -> bytes:
        """The JSON of the manifest, always with the two keys that the specification requires."""
        content = {"schemaVersion": 2, "mediaType": MANIFEST, **msgspec.to_builtins(self)}
        return msgspec.json.encode(content)


class Layout:
    """Blobs and the index of one directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = root / "blobs" / "sha256"

    def create(self) -> None:
        """Create an empty layout if none exists. Raises TargetError when the disk cannot be written."""
        try:
            self.blobs.mkdir(parents=True, exist_ok=True)
            if (self.root / "oci-layout").exists():
                return
            # One of those who come first at once: the index of the next would forget what the first has added.
            with locked_file(self.root / ".create", limit=LOCK_LIMIT):
                if not (self.root / "oci-layout").exists():
                    # Write the index before any blob: later, blobs without an index mean damage.
                    self.write_entries([])
                    replace_file(self.root / "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        except OSError as error:
            raise _write_error(self.root, error) from error

    def path(self, digest: str) -> Path:
        """The path of a blob. Raises ModelRefused when `digest` is not a SHA-256 digest."""
        algorithm, _, hexadecimal = digest.partition(":")
        if algorithm != "sha256" or len(hexadecimal) != 64 or not set(hexadecimal) <= set("0123456789abcdef"):
            raise ModelRefused(f"'{digest[:80]}' is not a SHA-256 digest", where=str(self.root), hint=RESTORE_HINT)
        return self.blobs / hexadecimal

    def add_bytes(
        self,
        content: bytes,
        media_type: str,
        *,
        artifact_type: str | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> Descriptor:
        """Add a small blob."""
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        path = self.path(digest)
        try:
            if not path.is_file() or path.read_bytes() != content:
                replace_file(path, content)
        except OSError as error:
            raise _write_error(path, error) from error
        return Descriptor(
            media_type=media_type,
            digest=digest,
            size=len(content),
            artifact_type=artifact_type,
            annotations=dict(annotations or {}),
        )

    def add_file(self, file: Path, media_type: str, *, annotations: Mapping[str, str] | None = None) -> Descriptor:
        """Add a file of any size in bounded memory."""
        temporary = self.blobs / f".{secrets.token_hex(8)}"
        digest, size = hashlib.sha256(), 0
        try:
            source_file = file.open("rb")
        except OSError as error:
            raise TargetError(f"cannot read a file of the model: {error.strerror}", where=str(file)) from error
        try:
            with source_file as source, temporary.open("xb") as copy:
                while chunk := source.read(CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
                    copy.write(chunk)
                copy.flush()
                os.fsync(copy.fileno())
            name = "sha256:" + digest.hexdigest()
            temporary.replace(self.path(name))
            flush(self.blobs)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise _write_error(self.blobs, error) from error
        return Descriptor(media_type=media_type, digest=name, size=size, annotations=dict(annotations or {}))

    def read(self, descriptor: Descriptor, what: str) -> bytes:
        """Read a small blob. Raises ModelRefused that names the blob when size or digest differ from the descriptor."""
        path = self.path(descriptor.digest)
        try:
            with open_regular(path) as file:
                # The bytes that are checked are those that are returned: the file may change in between.
                content = file.read(descriptor.size + 1)
        except OSError as error:
            raise ModelRefused(f"cannot read {what}: {error.strerror}", where=str(path), hint=RESTORE_HINT) from error
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self._require(descriptor, what, len(content), digest)
        return content

    def read_digest(self, digest: str, what: str) -> bytes:
        """Read a small blob of unknown size and check its digest. Raises ModelRefused."""
        try:
            size = self.path(digest).stat().st_size
        except OSError as error:
            raise ModelRefused(f"cannot read {what}: {error.strerror}", where=digest, hint=RESTORE_HINT) from error
        return self.read(Descriptor(media_type="", digest=digest, size=size), what)

    def manifest(self, entry: Descriptor, what: str) -> Manifest:
        """The manifest of an entry. Raises ModelRefused for one that is damaged, or no manifest."""
        try:
            return msgspec.json.decode(self.read(entry, what), type=Manifest)
        except UNREADABLE as error:
            raise ModelRefused(f"{what} is not a manifest: {error}", where=entry.digest, hint=RESTORE_HINT) from error

    def check(self, descriptor: Descriptor, what: str) -> None:
        """Raise ModelRefused unless the blob exists with the size and digest of its descriptor."""
        path = self.path(descriptor.digest)
        digest = hashlib.sha256()
        try:
            with open_regular(path) as file:
                size = os.fstat(file.fileno()).st_size
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
        except OSError as error:
            raise ModelRefused(f"cannot read {what}: {error.strerror}", where=str(path), hint=RESTORE_HINT) from error
        self._require(descriptor, what, size, "sha256:" + digest.hexdigest())

    def _require(self, descriptor: Descriptor, what: str, size: int, digest: str) -> None:
        path = self.path(descriptor.digest)
        if size != descriptor.size:
            message = f"{what} has {size} bytes, expected {descriptor.size}"
            raise ModelRefused(message, where=str(path), hint=RESTORE_HINT)
        if digest != descriptor.digest:
            raise ModelRefused(f"{what} was altered: its digest differs", where=str(path), hint=RESTORE_HINT)

    def entries(self) -> list[Descriptor]:
        """The entries of the index. Raises ModelRefused when the index cannot be read."""
        path = self.root / "index.json"
        try:
            index = msgspec.json.decode(path.read_bytes(), type=_Index)
        except FileNotFoundError:
            if any(self.blobs.glob("[0-9a-f]*")):
                raise ModelRefused("the registry has lost its index", where=str(path), hint=RESTORE_HINT) from None
            return []
        except (*UNREADABLE, OSError) as error:
            raise ModelRefused(
                f"cannot read the registry's index: {error}", where=str(path), hint=RESTORE_HINT
            ) from error
        return list(index.manifests)

    def write_entries(self, entries: list[Descriptor]) -> None:
        """Replace the index. The caller must hold `locked`."""
        path = self.root / "index.json"
        try:
            replace_file(path, encoded_index(entries))
        except OSError as error:
            raise _write_error(path, error) from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the layout for one writer. Raises TargetError when another writer holds the lock too long."""
        self.create()
        deadline = time.monotonic() + LOCK_LIMIT
        try:
            lock = (self.root / ".lock").open("wb")
        except OSError as error:
            raise _write_error(self.root, error) from error
        with lock as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        message = f"another process has locked the registry for {LOCK_LIMIT:g} s"
                        raise TargetError(
                            message, where=str(self.root), hint="wait for that process, or end it"
                        ) from None
                    time.sleep(0.01)
            self._remove_left()
            yield

    def _remove_left(self) -> None:
        """Remove what killed writers have left. Statements and pulled blobs are written without the lock, so what is
        young may still be under way."""
        for left in self.blobs.glob(".*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > LEFT_AFTER:
                    left.unlink()

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Keep blobs from being swept for as long as the block runs. Without effect where nobody may write."""
        with contextlib.ExitStack() as held:
            with contextlib.suppress(OSError):
                held.enter_context(locked_file(self.root / ".sweep", shared=True, limit=LOCK_LIMIT))
            yield

    def unused(self, limit: float) -> contextlib.AbstractContextManager[bool]:
        """Keep others from reading for as long as the block runs; yields whether that came about within the limit."""
        return locked_file(self.root / ".sweep", limit=limit)


def encoded_index(entries: list[Descriptor]) -> bytes:
    """The bytes of index.json."""
    return msgspec.json.encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": msgspec.to_builtins(entries)})


@decodable
class _Index(Struct, frozen=True, kw_only=True, rename="camel"):
    manifests: tuple[Descriptor, ...]


RESTORE_HINT = (
    "restore the registry from a copy, or remove its directory and run again: finished training steps are "
    "registered again"
)


def _write_error(path: Path, error: OSError) -> TargetError:
    hint = "free space on the disk, or make the directory writable; registered models are unharmed"
    return TargetError(f"cannot write to the registry: {error.strerror or error}", where=str(path), hint=hint)
