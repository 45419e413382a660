"""What a service file was before a promotion, kept on the disk until the promotion has ended.

A promotion may be killed at any moment, and its service goes on with the weights of that moment. Before each change of
the service file the record says what the file was and what it is going to be; the next promotion puts it back when it
finds one of these contents there. Another content is somebody else's, and stays.
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
    """`before`: the file's content; `written`: SHA-256 of every content that the promotion gave it."""

    before: bytes
    written: tuple[str, ...] = ()


class PromotionRecord:
    """The record of one service file. `exclusive` is held while it is used."""

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
                        "another promotion into this service goes on",
                        where=str(self.file),
                        hint="wait for it, or end it: it restores the weights",
                    )
                time.sleep(0.05)
            yield

    def cut_off(self) -> bytes | None:
        """What the file was before a promotion that did not get to its end; None when there is nothing to put back."""
        try:
            record = msgspec.json.decode(self._path.read_bytes(), type=_Record)
            now = self.file.read_bytes()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        return record.before if _digest(now) in record.written else None

    def note(self) -> str:
        """Whether a promotion goes on or was cut off, in words; empty without one."""
        try:
            with self.exclusive(patience=0.0):
                cut_off = self.cut_off() is not None
        except PlimsollError:
            return "a promotion goes on"
        return "a promotion was cut off, and its weights stay until the next plimsoll promote" if cut_off else ""

    def begin(self) -> None:
        """Remember what the file is now."""
        self._record = _Record(before=self.file.read_bytes())

    def write(self, content: bytes) -> None:
        """Change the file, after the disk has what it was and what it becomes."""
        if self._record is not None:
            self._record = replace(self._record, written=(*self._record.written, _digest(content)))
            replace_file(self._path, msgspec.json.encode(self._record))
        replace_file(self.file, content)

    def end(self) -> None:
        """The file is as it is to be."""
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
