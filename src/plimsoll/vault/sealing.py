"""Seals the plain files of a vault, pass by pass: what has changed since the last one, and then the index.

An object is on the disk before the index that names it, and is deleted after the index that names it no more, so that
whatever is killed in between leaves the one picture or the other. Sealed files are never changed in place.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from plimsoll.files import flush
from plimsoll.vault.index import Entry, Index, as_text, write_index
from plimsoll.vault.opening import OBJECTS, object_name
from plimsoll.vault.stream import seal_stream

PLAIN_DIRECTORIES = frozenset({"work", "removed"})
"""What is under way there is made again after a crash of the machine; see `state.directory`."""
GRAIN = 20_000_000
"""Nanoseconds within which two changes of a file may have the same time."""
SHARE = 20
"""A file that is written to all the time is sealed again after this many times the time that it took."""
_Identity = tuple[int, int, int, int, int]


class _Seen(Struct, frozen=True):
    """A file as it was sealed: its identity, its object, and when it may be sealed again (monotonic seconds)."""

    identity: _Identity
    object: str
    again: float = 0.0
    settled: bool = True


class Sealing:
    """The sealed side of the plain files in `plain`. Not thread-safe."""

    def __init__(
        self, plain: Path, sealed: Path, vault: str, key: bytes, leave_out: frozenset[str] = frozenset()
    ) -> None:
        """`leave_out` are names in `plain` that are not sealed."""
        self._plain, self._sealed, self._vault, self._key = plain, sealed, vault, key
        self._leave_out = leave_out
        self._seen: dict[tuple[int, int], _Seen] = {}
        self._entries: tuple[Entry, ...] | None = None

    def begin(self, entries: tuple[Entry, ...]) -> None:
        """Take files as sealed that were just made of these entries."""
        for entry in entries:
            if entry.kind == "file":
                about = os.lstat(f"{self._plain}/{os.fsdecode(entry.path.encode('latin-1'))}")
                self._seen[about.st_dev, about.st_ino] = _Seen(_identity(about), entry.object)
        self._entries = entries

    def seal(self, *, all_now: bool = False) -> bool:
        """Seal what has changed; `all_now` also what is written to all the time. Returns whether nothing is left.

        Raises OSError when it could not be sealed: what was sealed before is there.
        """
        now = time.monotonic()
        found = list(self._found())
        pending: dict[tuple[int, int], Future[_Seen | None]] = {}
        with ThreadPoolExecutor(max_workers=4, thread_name_prefix="sealing") as pool:
            for path, about in found:
                inode = (about.st_dev, about.st_ino)
                if stat.S_ISREG(about.st_mode) and inode not in pending and self._is_due(about, now, all_now=all_now):
                    pending[inode] = pool.submit(self._sealed_file, path)
        for inode, future in pending.items():
            if (done := future.result()) is not None:
                self._seen[inode] = done
        entries = tuple(entry for path, about in found if (entry := self._entry(path, about)) is not None)
        if entries != self._entries:
            flush(self._sealed / OBJECTS)
            write_index(self._sealed, Index(self._vault, entries), self._key)
            self._entries = entries
            self._discard({entry.object for entry in entries})
        alive = {(about.st_dev, about.st_ino) for _, about in found}
        self._seen = {inode: seen for inode, seen in self._seen.items() if inode in alive}
        return all(self._is_settled(about) for _, about in found if stat.S_ISREG(about.st_mode))

    def _is_due(self, about: os.stat_result, now: float, *, all_now: bool) -> bool:
        seen = self._seen.get((about.st_dev, about.st_ino))
        if seen is None:
            return True
        changed = seen.identity != _identity(about) or not seen.settled
        return changed and (all_now or now >= seen.again)

    def _is_settled(self, about: os.stat_result) -> bool:
        seen = self._seen.get((about.st_dev, about.st_ino))
        return seen is not None and seen.settled and seen.identity == _identity(about)

    def _sealed_file(self, path: str) -> _Seen | None:
        """Write a file's content as a new object; None for one that is gone."""
        began = time.monotonic()
        identity = os.urandom(16).hex()
        target = self._sealed / OBJECTS / identity
        try:
            with _readable(path) as plain, target.open("xb") as sealed:
                before = os.fstat(plain.fileno())
                seal_stream(plain, sealed, self._key, object_name(self._vault, identity))
                sealed.flush()
                os.fsync(sealed.fileno())
                after = os.fstat(plain.fileno())
        except FileNotFoundError:
            if os.path.lexists(path):
                raise
            return None
        except BaseException:  # also when it is interrupted: half an object is nobody's
            target.unlink(missing_ok=True)
            raise
        settled = _identity(before) == _identity(after) and after.st_ctime_ns + GRAIN < time.time_ns()
        ended = time.monotonic()
        return _Seen(_identity(before), identity, ended + SHARE * (ended - began), settled)

    def _entry(self, path: str, about: os.stat_result) -> Entry | None:
        name = as_text(os.path.relpath(path, self._plain))
        mode, changed = stat.S_IMODE(about.st_mode), about.st_mtime_ns
        if stat.S_ISDIR(about.st_mode):
            return Entry(path=name, kind="directory", mode=mode, changed=changed)
        if stat.S_ISLNK(about.st_mode):
            with contextlib.suppress(OSError):
                return Entry(path=name, kind="link", target=as_text(str(Path(path).readlink())))
            return None
        seen = self._seen.get((about.st_dev, about.st_ino))
        if seen is None:
            return None
        size, changed = seen.identity[2], seen.identity[3]
        return Entry(path=name, kind="file", mode=mode, changed=changed, size=size, object=seen.object)

    def _found(self) -> Iterator[tuple[str, os.stat_result]]:
        """All files, links and directories with what the file system says of them; sockets and pipes are left out."""
        directories = [os.fspath(self._plain)]
        while directories:
            directory = directories.pop()
            # What a step removes while it is looked at is not there the next time.
            with contextlib.suppress(FileNotFoundError, NotADirectoryError), _listed(directory) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):
                        if directory == os.fspath(self._plain) and entry.name in self._leave_out:
                            continue
                        about = entry.stat(follow_symlinks=False)
                        if stat.S_ISDIR(about.st_mode):
                            yield entry.path, about
                            if not self._is_under_way(entry.path):
                                directories.append(entry.path)
                        elif stat.S_ISREG(about.st_mode) or stat.S_ISLNK(about.st_mode):
                            yield entry.path, about

    def _is_under_way(self, path: str) -> bool:
        """Whether a directory is of an attempt that has not ended: `work/<key>`, also below `targets/<target>`."""
        parts = Path(path).relative_to(self._plain).parts
        if parts[0] == "targets":
            parts = parts[2:]
        return len(parts) == 2 and parts[0] in PLAIN_DIRECTORIES

    def _discard(self, needed: set[str]) -> None:
        with os.scandir(self._sealed / OBJECTS) as entries:
            for entry in entries:
                if entry.name not in needed:
                    Path(entry.path).unlink()


def _identity(about: os.stat_result) -> _Identity:
    return (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)


def _readable(path: str) -> BinaryIO:
    """Open a file for reading. A step may have left one that its owner may not read, which is not lost for that."""
    file = Path(path)
    try:
        return file.open("rb")
    except PermissionError:
        file.chmod(stat.S_IMODE(file.lstat().st_mode) | stat.S_IRUSR)
        return file.open("rb")


def _listed(path: str) -> contextlib.AbstractContextManager[Iterator[os.DirEntry[str]]]:
    """List a directory, also one that its owner may not list."""
    try:
        return os.scandir(path)
    except PermissionError:
        directory = Path(path)
        directory.chmod(stat.S_IMODE(directory.lstat().st_mode) | stat.S_IRUSR | stat.S_IXUSR)
        return os.scandir(path)
