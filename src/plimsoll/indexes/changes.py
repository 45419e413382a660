"""Changes of an index after it was built: a journal of documents that were put in or deleted.

A change is in the journal, flushed to disk, before anybody is told that it was made. Many processes write and read it:
writers take turns by a lock, and a line that a killed writer has left half is cut off by the next one. A deletion
writes the journal anew without the document's text, so that no file has it from then on. A long journal is written anew
without what was changed again.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import PlimsollError
from plimsoll.files import flush, replace_file
from plimsoll.locks import locked_file

TIDIED_AT = 4 << 20
"""Bytes above which a journal is looked at for what has been changed again since."""
LOCK_LIMIT = 30.0
"""Seconds that a writer waits for the others."""


class ChangedChunk(Struct, frozen=True, array_like=True):
    """A chunk of a changed document, in characters of its text; `vector` are float32 numbers in little-endian order."""

    start: int
    end: int
    heading: str
    vector: bytes


class Change(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One document that was put in, or deleted: it then has nothing but its id.

    `embedder` is the digest of the model that its vectors are of, empty without any.
    """

    id: str
    deleted: bool = False
    source: str = ""
    text: str = ""
    title: str = ""
    metadata: Mapping[str, str] = {}
    access: tuple[str, ...] = ()
    embedder: str = ""
    chunks: tuple[ChangedChunk, ...] = ()


_DECODER = msgspec.json.Decoder(Change)


class Journal:
    """The journal of one index, as one process reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._close: weakref.finalize[..., Journal] | None = None
        self._offset = 0
        self._tidied = 0

    def add(self, changes: Sequence[Change]) -> None:
        """Write changes, flushed to disk. Raises PlimsollError when that cannot be done; then none of them was made."""
        with _guarded(self.path), self._alone():
            gone = {change.id for change in changes if change.deleted}
            if gone and any(change.id in gone for change in _read(self.path)):
                kept = [change for change in _read(self.path) if change.id not in gone]
                replace_file(self.path, _lines([*kept, *changes]))
                return
            _append(self.path, _lines(changes))
            if self.path.stat().st_size >= 2 * max(self._tidied, TIDIED_AT // 2):
                self._tidy()

    def forget(self, ids: Collection[str]) -> None:
        """Leave documents out altogether, also that they were deleted. Raises PlimsollError; none has gone then."""
        with _guarded(self.path), self._alone():
            written = list(_read(self.path))
            kept = [change for change in written if change.id not in ids]
            if len(kept) < len(written):
                replace_file(self.path, _lines(kept))

    def news(self) -> tuple[list[Change], bool]:
        """The changes since the last call, and whether the journal was written anew and they are all that there are.

        Raises PlimsollError for a journal that cannot be read.
        """
        with _guarded(self.path):
            anew = self._follow()
            if self._descriptor is None:
                return [], anew
            size = os.fstat(self._descriptor).st_size
            # A line without its end is being written, or was left by a writer that was killed and may be cut off.
            whole = os.pread(self._descriptor, max(0, size - self._offset), self._offset).rpartition(b"\n")
            self._offset += len(whole[0]) + len(whole[1])
            return list(_decoded(whole[0], self.path)), anew

    def _follow(self) -> bool:
        """Have the file open that is the journal now; returns whether it is another than before.

        The file before stays open until then: the number of a file that is gone may be given to the next one.
        """
        try:
            now = self.path.stat()
        except FileNotFoundError:
            return self._leave()
        if self._descriptor is not None:
            held = os.fstat(self._descriptor)
            if (held.st_dev, held.st_ino) == (now.st_dev, now.st_ino):
                return False
        self._leave()
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        self._close = weakref.finalize(self, os.close, self._descriptor)
        return True

    def _leave(self) -> bool:
        """Close the file; returns whether one was open."""
        was_open = self._descriptor is not None
        if self._close is not None:
            self._close()
        self._descriptor, self._close, self._offset = None, None, 0
        return was_open

    def _tidy(self) -> None:
        """Keep the last change of each document. It doubles in size before it is looked at again."""
        written = list(_read(self.path))
        last = {change.id: change for change in written}
        if len(last) < len(written):
            replace_file(self.path, _lines(last.values()))
        self._tidied = self.path.stat().st_size

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked_file(self.path.with_suffix(".lock"), limit=LOCK_LIMIT) as locked:
            if not locked:
                text = f"others have written to the journal for {LOCK_LIMIT:g} s"
                raise PlimsollError(text, where=str(self.path), hint="try again")
            yield


def changes_in(path: Path) -> dict[str, Change]:
    """The last change of each document in a journal, by its id; none without a journal. Raises PlimsollError."""
    with _guarded(path):
        return {change.id: change for change in _read(path)}


def _append(path: Path, content: bytes) -> None:
    is_new = not path.exists()
    with path.open("r+b" if not is_new else "xb") as file:
        size = file.seek(0, os.SEEK_END)
        whole = size
        while whole:
            # The end of the last whole line; a line has a document, so that one look seldom is not enough.
            begin = max(0, whole - (1 << 16))
            file.seek(begin)
            at = file.read(whole - begin).rfind(b"\n")
            whole = begin + at + 1 if at >= 0 else begin
            if at >= 0:
                break
        if whole < size:
            file.truncate(whole)
        file.seek(whole)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        flush(path.parent)


def _read(path: Path) -> Iterator[Change]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    yield from _decoded(content.rpartition(b"\n")[0], path)


def _decoded(content: bytes, path: Path) -> Iterator[Change]:
    for number, line in enumerate(content.split(b"\n") if content else (), start=1):
        try:
            yield _DECODER.decode(line)
        except UNREADABLE as error:
            hint = "restore the file from a copy, or remove it: the changes since the last build are lost then"
            text = f"a change of the index cannot be read: {error}"
            raise PlimsollError(text, where=f"{path}:{number}", hint=hint) from error


def _lines(changes: Iterable[Change]) -> bytes:
    return b"".join(msgspec.json.encode(change) + b"\n" for change in changes)


@contextlib.contextmanager
def _guarded(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "free space on the disk, or make the directory writable; what was acknowledged is unharmed"
        raise PlimsollError(f"the journal of changes: {error.strerror or error}", where=str(path), hint=hint) from error
