"""Data on a node, by content: many workers and many epochs read the network once.

    cache = ContentCache(Path("/var/cache/plimsoll"), limit=100 << 30)
    entry = cache.fetch("s3://bucket/train.parquet", Path("/data/train.parquet"), sha256="…")
    with cache.use("https://example.org/words.txt") as entry:      # kept from eviction while it is used
        entry.path.read_bytes()

Any number of processes may share a directory. Whoever asks for the same content waits for the one that fetches it. What
was fetched in part is gone on from, also after a kill. Content is held against its digest each time that it is handed
out: what was altered is fetched anew.
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
from plimsoll.runtime.sources import Broken, Identity, Source, listed, source

TRIES = 6
STALL_LIMIT = 300.0
"""Seconds to wait for another process that fetches the same without getting on."""
LEFT_LIMIT = 7 * 86400.0
"""Seconds after which a part that nobody goes on with is removed."""
AT_ONCE = 4
_PIECE = 1 << 20


class Entry(Struct, frozen=True, kw_only=True):
    """Content on this node. `sha256` is in hex, `size` in bytes, `fetched` the bytes that this call read from afar."""

    path: Path
    sha256: str
    size: int
    fetched: int


class ContentCache:
    """A directory of content. `limit` is in bytes, `None` sets none; what was used longest ago goes first."""

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
            raise self._unwritable(error) from error

    def fetch(self, url: str, output: Path, sha256: str = "") -> Entry:
        """Have the content at `output`: the cache's own file by another name, read-only, or a copy on another disk.

        `output` appears whole or not at all. Raises TargetError that says what is wrong with source, content or disk.
        """
        with self.use(url, sha256) as entry:
            unfinished = output.with_name(f".{output.name}.{secrets.token_hex(8)}")
            try:
                output.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(entry.path, unfinished)
                except OSError:
                    # Another file system, or one without hard links.
                    shutil.copyfile(entry.path, unfinished)
                unfinished.replace(output)
            except OSError as error:
                raise TargetError(f"the data cannot be put there: {error.strerror}", where=str(output)) from error
            finally:
                # A rename onto another link of the same file does nothing, says POSIX.
                unfinished.unlink(missing_ok=True)
        return Entry(path=output, sha256=entry.sha256, size=entry.size, fetched=entry.fetched)

    def fetch_tree(self, url: str, output: Path) -> list[Entry]:
        """Have every file below an address that ends with `/` at its place below `output`."""
        found = listed(url)
        if not found:
            raise TargetError("there are no files below this address", where=url, hint="check the address")
        for name, _ in found:
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise TargetError(f"a file is called '{name}', outside of its folder", where=url)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda each: self.fetch(each[1], output / each[0]), found))

    @contextlib.contextmanager
    def use(self, url: str, sha256: str = "") -> Iterator[Entry]:
        """The content, which stays where it is for as long as the block runs. Raises as `fetch`."""
        sha256 = sha256.lower().removeprefix("sha256:")
        if sha256 and not re.fullmatch("[0-9a-f]{64}", sha256):
            raise FileError(f"'{sha256[:80]}' is no SHA-256 digest", where=url, hint="64 hexadecimal digits")
        fetched = 0
        for _ in range(TRIES):
            digest, more = self._ensure(url, sha256)
            fetched += more
            held = self._held(digest)
            if held is None:
                # Evicted, or found to be altered, in the moment between: fetch it again.
                continue
            with held:
                size = os.fstat(held.fileno()).st_size
                yield Entry(path=self.objects / digest, sha256=digest, size=size, fetched=fetched)
                return
        hint = "give the cache a higher limit, or find out what changes its files"
        raise TargetError("the content does not stay in the cache", where=str(self.root), hint=hint)

    def size(self) -> int:
        """Bytes of all that is kept, parts included."""
        return sum(size for _, size, _ in self._kept(self.objects)) + sum(size for _, size, _ in self._kept(self.parts))

    def _ensure(self, url: str, sha256: str) -> tuple[str, int]:
        """The digest of content that is in the cache now, and the bytes that were fetched for it."""
        if sha256 and (self.objects / sha256).exists():
            return sha256, 0
        where = source(url)
        identity = Identity(validator="", size=None) if sha256 else _patiently(where)
        # What cannot be told from what it was before is never taken for it.
        distinct = sha256 or identity.validator or secrets.token_hex(16)
        key = hashlib.sha256(f"{'' if sha256 else url}\0{distinct}\0{identity.size}".encode()).hexdigest()
        with self._locked(key, url):
            if not (sha256 or identity.validator):
                # Nobody else will ever wait for this.
                (self.locks / key).unlink(missing_ok=True)
            digest = sha256 or self._known(key)
            if digest and (self.objects / digest).exists():
                return digest, 0
            if sha256:
                identity = _patiently(where)
            return self._download(where, identity, key, sha256)

    def _download(self, where: Source, identity: Identity, key: str, sha256: str) -> tuple[str, int]:
        part = self.parts / key
        try:
            self._make_room(identity.size or 0, where.url)
            fetched = self._fill(part, where, identity)
            with part.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if sha256 and digest != sha256:
                part.unlink()
                raise _differs(where.url, digest, sha256)
            part.chmod(0o444)
            part.replace(self.objects / digest)
            flush(self.objects)
            (self.parts / f"{key}.of").unlink(missing_ok=True)
            if not sha256 and identity.validator:
                replace_file(self.names / key, digest.encode())
            self._make_room(0, where.url, keep=digest)
        except OSError as error:
            raise self._unwritable(error) from error
        return digest, fetched

    def _fill(self, part: Path, where: Source, identity: Identity) -> int:
        """Fetch what is missing of a part; gives the bytes that came over the network."""
        about = self.parts / f"{part.name}.of"
        said = msgspec.json.encode(identity)
        if not about.exists() or about.read_bytes() != said or not identity.validator:
            # A part of something else, or of which nobody can say what it is a part of.
            part.unlink(missing_ok=True)
            replace_file(about, said)
        fetched = failures = 0
        with part.open("ab") as file:
            while identity.size is None or file.tell() < identity.size:
                before = file.tell()
                try:
                    with where.read(before, identity) as (offset, pieces):
                        file.truncate(offset)
                        file.seek(offset)
                        for piece in pieces:
                            fetched += len(piece)
                            file.write(piece)
                    if identity.size in (None, file.tell()):
                        break
                    reason = f"it ended after {file.tell()} of {identity.size} bytes"
                except Broken as error:
                    reason = str(error)
                failures = 1 if file.tell() > before else failures + 1
                if failures >= TRIES:
                    raise _broken(where.url, reason)
                time.sleep(0.05 * 2**failures)
            if identity.size is not None and file.tell() > identity.size:
                size = file.tell()
                file.truncate(0)
                raise _broken(where.url, f"it gave {size} bytes and had said {identity.size}")
            file.flush()
            os.fsync(file.fileno())
        return fetched

    def _held(self, digest: str) -> IO[bytes] | None:
        """The verified file under a lock that keeps it from eviction; None when it is gone or was altered."""
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
                    # Another user's file: its age is then that of its owner's last use.
                    os.utime(path)
                until_refused.pop_all()
                return file
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unwritable(error) from error

    def _known(self, key: str) -> str:
        try:
            return (self.names / key).read_text(encoding="ascii")
        except FileNotFoundError:
            return ""

    def _make_room(self, needed: int, url: str, keep: str = "") -> None:
        """Remove what was used longest ago, and is not in use, until `needed` bytes more stay below the limit."""
        if self.limit is None:
            return
        if needed > self.limit:
            hint = "give the cache a higher limit"
            raise TargetError(f"{needed} bytes are more than the cache's limit of {self.limit}", where=url, hint=hint)
        with self._locked("room", "the cache's room"):
            now = time.time()
            for path, _, used in self._kept(self.parts):
                if now - used > LEFT_LIMIT:
                    path.unlink(missing_ok=True)
            total = self.size() + needed
            for path, size, _ in sorted(self._kept(self.objects), key=lambda each: each[2]):
                if total <= self.limit:
                    return
                if path.name != keep and _removed(path):
                    total -= size

    def _kept(self, folder: Path) -> list[tuple[Path, int, float]]:
        """Files with their sizes in bytes and the times of their last use."""
        found = []
        for path in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                about = path.stat()
                found.append((path, about.st_size, about.st_mtime))
        return found

    @contextlib.contextmanager
    def _locked(self, key: str, what: str) -> Iterator[None]:
        """One process at a time; a holder that gets on is waited for as long as it does."""
        part = self.parts / key
        try:
            lock = (self.locks / key).open("wb")
        except OSError as error:
            raise self._unwritable(error) from error
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
                        # Not begun, or just finished.
                        size = 0
                    if size != seen:
                        seen, since = size, time.monotonic()
                    if time.monotonic() - since > STALL_LIMIT:
                        message = f"another process has been fetching it for {STALL_LIMIT:g} s without getting on"
                        raise TargetError(message, where=what, hint="end it, and run again") from None
                    time.sleep(0.02)
            yield

    def _unwritable(self, error: OSError) -> TargetError:
        hint = "free some space on the disk, or make the directory writable"
        return TargetError(f"the cache cannot be used: {error.strerror or error}", where=str(self.root), hint=hint)


def _removed(path: Path) -> bool:
    """Whether content that nobody uses was removed."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except (BlockingIOError, FileNotFoundError):
        return False
    return True


def _patiently(where: Source) -> Identity:
    attempt = 1
    while True:
        try:
            return where.identity()
        except Broken as error:
            if attempt == TRIES:
                raise _broken(where.url, str(error)) from error
            time.sleep(0.1 * 2**attempt)
            attempt += 1


def _broken(url: str, reason: str) -> TargetError:
    hint = "check the address and the network; what has come is kept and gone on from"
    return TargetError(f"cannot fetch: {reason}", where=url, hint=hint)


def _differs(url: str, digest: str, wanted: str) -> TargetError:
    hint = "the data changed, or the digest is of other data"
    return TargetError(f"the data has sha256 {digest}, wanted is {wanted}", where=url, hint=hint, lasting=True)
