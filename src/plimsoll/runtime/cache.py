"""A node's cache of data, by content: many workers and many epochs download it once.

    cache = ContentCache(Path("/var/cache/plimsoll"), limit=100 << 30)
    entry = cache.fetch("s3://bucket/train.parquet", Path("/data/train.parquet"), sha256="…")
    with cache.use("https://example.org/words.txt") as entry:      # cannot be evicted while in use
        entry.path.read_bytes()

Any number of processes may share a directory. Of several that ask for the same content, one downloads it and the others
wait. A new call continues a partial download, also after a kill. Each use checks the digest of the content; altered
content is downloaded again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from plimsoll.errors import FileError, TargetError
from plimsoll.files import flush, replace_file
from plimsoll.runtime.download import TRIES, download, identity_with_retries
from plimsoll.runtime.sources import Identity, Source, list_files, open_source

STALL_LIMIT = 300.0
"""Seconds to wait for another process whose download of the same content makes no progress."""
ABANDONED_LIMIT = 7 * 86400.0
"""Seconds after which an abandoned partial download is removed."""
PARALLEL_FILES = 4
_PIECE = 1 << 20


class CachedFile(Struct, frozen=True, kw_only=True):
    """A file on this node. `sha256` is in hex, `size` in bytes. `fetched` are the bytes that this call downloaded."""

    path: Path
    sha256: str
    size: int
    fetched: int


class ContentCache:
    """A directory of content. `limit` is in bytes; `None` means no limit. The least recently used goes first."""

    def __init__(self, root: Path, limit: int | None = None) -> None:
        self.root = root
        self.limit = limit
        self.objects = root / "objects"
        self.names = root / "names"
        self.parts = root / "parts"
        self.locks = root / "locks"
        try:
            for folder in (self.objects, self.names, self.parts, self.locks):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._cache_error(error) from error

    def fetch(self, url: str, output: Path, sha256: str = "") -> CachedFile:
        """Put the content at `output`: a read-only hard link to the cached file, or a copy on another disk.

        `output` appears whole or not at all. Raises TargetError for a problem of the source, the content or the disk.
        """
        with self.use(url, sha256) as entry:
            unfinished = output.with_name(f".{output.name}.{secrets.token_hex(8)}")
            try:
                output.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(entry.path, unfinished)
                except OSError:
                    # `output` is on another file system, or hard links do not work.
                    shutil.copyfile(entry.path, unfinished)
                unfinished.replace(output)
            except OSError as error:
                raise TargetError(f"cannot write the data: {error.strerror}", where=str(output)) from error
            finally:
                # POSIX: a rename onto another link of the same file does nothing, so the first name is still there.
                unfinished.unlink(missing_ok=True)
        return CachedFile(path=output, sha256=entry.sha256, size=entry.size, fetched=entry.fetched)

    def fetch_tree(self, url: str, output: Path) -> list[CachedFile]:
        """Put every file below a URL that ends with `/` at the same relative path below `output`."""
        found = list_files(url)
        if not found:
            raise TargetError("there are no files below this URL", where=url, hint="check the URL")
        for name, _ in found:
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise TargetError(f"the listing has a file '{name}' outside its folder", where=url)
        with ThreadPoolExecutor(PARALLEL_FILES) as pool:
            return list(pool.map(lambda each: self.fetch(each[1], output / each[0]), found))

    @contextlib.contextmanager
    def use(self, url: str, sha256: str = "") -> Iterator[CachedFile]:
        """The cached file, which cannot be evicted while the block runs. Raises like `fetch`."""
        sha256 = sha256.lower().removeprefix("sha256:")
        if sha256 and not re.fullmatch("[0-9a-f]{64}", sha256):
            raise FileError(f"'{sha256[:80]}' is not a SHA-256 digest", where=url, hint="use 64 hexadecimal digits")
        fetched = 0
        for _ in range(TRIES):
            digest, more = self._ensure_cached(url, sha256)
            fetched += more
            held = self._open_verified(digest)
            if held is None:
                # The file was evicted or altered in the meantime: download it again.
                continue
            with held:
                size = os.fstat(held.fileno()).st_size
                yield CachedFile(path=self.objects / digest, sha256=digest, size=size, fetched=fetched)
                return
        hint = "raise the limit of the cache, or find out which process changes its files"
        raise TargetError(
            f"the content was evicted or altered {TRIES} times while it was fetched", where=str(self.root), hint=hint
        )

    def size(self) -> int:
        """Size of the cache in bytes, partial downloads included."""
        return sum(size for _, size, _ in self._files_by_use(self.objects)) + sum(
            size for _, size, _ in self._files_by_use(self.parts)
        )

    def _ensure_cached(self, url: str, sha256: str) -> tuple[str, int]:
        """Download the content unless it is cached. Returns its digest and the number of downloaded bytes."""
        if sha256 and (self.objects / sha256).exists():
            return sha256, 0
        where = open_source(url)
        identity = Identity(validator="", size=None) if sha256 else identity_with_retries(where)
        # Without a validator, content cannot be compared with cached content, so it never counts as the same.
        distinct = sha256 or identity.validator or secrets.token_hex(16)
        key = hashlib.sha256(f"{'' if sha256 else url}\0{distinct}\0{identity.size}".encode()).hexdigest()
        with self._locked(key, url):
            if not (sha256 or identity.validator):
                # The key is random, so nobody else will ever wait for this lock.
                (self.locks / key).unlink(missing_ok=True)
            digest = sha256 or self._digest_of_key(key)
            if digest and (self.objects / digest).exists():
                return digest, 0
            if sha256:
                identity = identity_with_retries(where)
            return self._download(where, identity, key, sha256)

    def _download(self, where: Source, identity: Identity, key: str, sha256: str) -> tuple[str, int]:
        part = self.parts / key
        try:
            self._make_room(identity.size or 0, where.url)
            fetched = self._fetch_missing(part, where, identity, pinned=bool(sha256))
            with part.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if sha256 and digest != sha256:
                part.unlink()
                raise _digest_error(where.url, digest, sha256)
            part.chmod(0o444)
            part.replace(self.objects / digest)
            flush(self.objects)
            (self.parts / f"{key}.of").unlink(missing_ok=True)
            if not sha256 and identity.validator:
                replace_file(self.names / key, digest.encode())
            self._make_room(0, where.url, keep=digest)
        except OSError as error:
            raise self._cache_error(error) from error
        return digest, fetched

    def _fetch_missing(self, part: Path, where: Source, identity: Identity, *, pinned: bool) -> int:
        """Download the missing bytes of a part. Returns the number of downloaded bytes."""
        about = self.parts / f"{part.name}.of"
        encoded = msgspec.json.encode(identity)
        if not about.exists() or about.read_bytes() != encoded or not identity.validator:
            # The part is of other content, or its content is unknown.
            part.unlink(missing_ok=True)
            replace_file(about, encoded)
        return download(where, part, identity, pinned=pinned)

    def _open_verified(self, digest: str) -> IO[bytes] | None:
        """Open and verify a file, locked against eviction. None when the file was evicted or altered."""
        path = self.objects / digest
        try:
            with contextlib.ExitStack() as until_refused:
                file = until_refused.enter_context(path.open("rb"))
                fcntl.flock(file, fcntl.LOCK_SH)
                if os.fstat(file.fileno()).st_ino != path.stat().st_ino:
                    return None
                if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                    path.unlink(missing_ok=True)
                    return None
                with contextlib.suppress(PermissionError):
                    # The file of another user: its age counts from that user's last use.
                    os.utime(path)
                until_refused.pop_all()
                return file
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._cache_error(error) from error

    def _digest_of_key(self, key: str) -> str:
        try:
            return (self.names / key).read_text(encoding="ascii")
        except FileNotFoundError:
            return ""

    def _make_room(self, needed: int, url: str, keep: str = "") -> None:
        """Evict the least recently used content until `needed` more bytes fit. Content in use stays."""
        if self.limit is None:
            return
        if needed > self.limit:
            hint = "raise the limit of the cache"
            raise TargetError(f"{needed} bytes are more than the cache's limit of {self.limit}", where=url, hint=hint)
        with self._locked("room", "the lock of evictions"):
            now = time.time()
            for path, _, used in self._files_by_use(self.parts):
                if now - used > ABANDONED_LIMIT:
                    path.unlink(missing_ok=True)
            total = self.size() + needed
            for path, size, _ in sorted(self._files_by_use(self.objects), key=lambda each: each[2]):
                if total <= self.limit:
                    return
                if path.name != keep and _evict(path):
                    total -= size

    def _files_by_use(self, folder: Path) -> list[tuple[Path, int, float]]:
        """Files with size in bytes and time of last use."""
        found = []
        for path in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                about = path.stat()
                found.append((path, about.st_size, about.st_mtime))
        return found

    @contextlib.contextmanager
    def _locked(self, key: str, what: str) -> Iterator[None]:
        """Lock a key for one process. Waits as long as the holder of the lock makes progress."""
        part = self.parts / key
        try:
            lock = (self.locks / key).open("wb")
        except OSError as error:
            raise self._cache_error(error) from error
        seen, since = -1, time.monotonic()
        with lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    try:
                        size = part.stat().st_size
                    except FileNotFoundError:
                        # The download has not begun, or has just finished.
                        size = 0
                    if size != seen:
                        seen, since = size, time.monotonic()
                    if time.monotonic() - since > STALL_LIMIT:
                        message = f"the download of another process has made no progress for {STALL_LIMIT:g} s"
                        raise TargetError(message, where=what, hint="end that process, and run again") from None
                    time.sleep(0.02)
            yield

    def _cache_error(self, error: OSError) -> TargetError:
        hint = "free space on the disk, or make the directory writable"
        return TargetError(f"cannot use the cache: {error.strerror or error}", where=str(self.root), hint=hint)


def _evict(path: Path) -> bool:
    """Remove content unless it is in use. Returns whether it was removed."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except (BlockingIOError, FileNotFoundError):
        return False
    return True


def _digest_error(url: str, digest: str, wanted: str) -> TargetError:
    hint = "the data has changed, or `sha256` is of other data"
    return TargetError(f"the data has sha256 {digest}, expected {wanted}", where=url, hint=hint, lasting=True)
