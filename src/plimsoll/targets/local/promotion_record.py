"""Keeps the content of a service file from before a promotion on disk until the promotion ends.

A promotion may be killed at any moment; its service then keeps the weights of that moment. Before each change of the
service file, the record stores the original content and the digest of the new one. The next promotion restores the
original if the file still has a recorded content. Any other content was written by somebody else and is kept.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from plimsoll.decoding import decodable
from plimsoll.errors import PlimsollError
from plimsoll.files import flush, replace_file

PATIENCE = 1.0
"""Seconds for which a lock is tried: whoever asks whether a promotion goes on holds it for a moment."""


@decodable
class _Record(Struct, frozen=True, kw_only=True):
    """`before` is the original content; `written` has the SHA-256 of every content that the promotion wrote."""

    before: bytes
    written: tuple[str, ...] = ()


class PromotionRecord:
    """The record of one service file. Use it only while holding `exclusive`."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._path = file.with_name(f".{file.name}.promotion")
        self._record: _Record | None = None

    @contextlib.contextmanager
    def exclusive(self, patience: float = PATIENCE) -> Iterator[None]:
        """One promotion of a service at a time. Raises PlimsollError when there is another."""
        deadline = time.monotonic() + patience
        with self.file.with_name(f".{self.file.name}.lock").open("wb") as lock:
            while not _locked(lock):
                if time.monotonic() >= deadline:
                    raise PlimsollError(
                        "another promotion into this service is running",
                        where=str(self.file),
                        hint="wait for it, or stop it: it restores the weights",
                    )
                time.sleep(0.05)
            yield

    def interrupted_content(self) -> bytes | None:
        """The content from before an interrupted promotion; None when there is nothing to restore."""
        try:
            record = msgspec.json.decode(self._path.read_bytes(), type=_Record)
            now = self.file.read_bytes()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        return record.before if _digest(now) in record.written else None

    def note(self) -> str:
        """A note about a running or interrupted promotion; empty without one."""
        try:
            with self.exclusive(patience=0.0):
                interrupted = self.interrupted_content() is not None
        except PlimsollError:
            return "a promotion is running"
        return "a promotion was interrupted; its weights stay until the next plimsoll promote" if interrupted else ""

    def begin(self) -> None:
        """Store the current content of the file."""
        self._record = _Record(before=self.file.read_bytes())

    def write(self, content: bytes) -> None:
        """Change the file, after the original and the new digest are on disk."""
        if self._record is not None:
            self._record = replace(self._record, written=(*self._record.written, _digest(content)))
            replace_file(self._path, msgspec.json.encode(self._record))
        replace_file(self.file, content)

    def end(self) -> None:
        """Delete the record: the file has its final content."""
        self._record = None
        self._path.unlink(missing_ok=True)
        flush(self._path.parent)


def _locked(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
