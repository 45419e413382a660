"""Logs of the services that wait for the link: whole files with a number each, within bounds of bytes and time.

A log is taken by renaming it; the server writes on in a new file. A file is sent at a later sync, when nobody writes to
it any more, and removed when the registry has it. A number is never given twice, so that what is sent again after a cut
of the power is known for what it is.
"""

from __future__ import annotations

import gzip
import re
import shutil
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.files import flush, replace_file

_NAME = re.compile(r"(\d{10})-([a-z0-9-]{1,63})-(access|audit)\.jsonl")
LOGS = ("access", "audit")
_PIECE = 1 << 16
_AT_REST = 2.0
"""Seconds after which nobody writes to a renamed file: the server looks for the move before each write."""


class Waiting(Struct, frozen=True, kw_only=True):
    """A file that waits: its number, its service and log, and its size in bytes."""

    number: int
    service: str
    log: str
    path: Path
    size: int
    taken: float


@decodable
class _Counted(Struct, frozen=True, kw_only=True):
    number: int = 0
    dropped: int = 0


class Spool:
    """A directory of files that wait. `most` is in bytes, `keep` in seconds."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = directory / "counted.json"
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._counted = msgspec.json.decode(self._file.read_bytes(), type=_Counted)
        except FileNotFoundError:
            self._counted = _Counted()
        except UNREADABLE:
            self._counted = _Counted()
        # Files that are here have their numbers, whatever became of the count.
        highest = max((each.number for each in self.waiting()), default=0)
        if highest > self._counted.number:
            self._counted = msgspec.structs.replace(self._counted, number=highest)

    @property
    def dropped(self) -> int:
        """Lines that were dropped, since there was no room or their time was over."""
        return self._counted.dropped

    @property
    def newest(self) -> int:
        """The highest number that was given."""
        return self._counted.number

    def take(self, service: str, log: str, path: Path) -> bool:
        """Take a log of a service, if there is anything in it. Returns whether it was taken."""
        try:
            if not path.stat().st_size:
                return False
        except FileNotFoundError:
            return False
        number = self._counted.number + 1
        # The number is on the disk before the file has it: it is not given again.
        self._count(number=number, dropped=self.dropped)
        path.rename(self._directory / f"{number:010d}-{service}-{log}.jsonl")
        flush(self._directory)
        return True

    def waiting(self) -> list[Waiting]:
        """The files that wait, oldest first."""
        found = []
        for path in sorted(self._directory.iterdir()):
            if match := _NAME.fullmatch(path.name):
                about = path.stat()
                found.append(
                    Waiting(
                        number=int(match[1]),
                        service=match[2],
                        log=match[3],
                        path=path,
                        size=about.st_size,
                        taken=about.st_mtime,
                    )
                )
        return found

    def ready(self) -> list[Waiting]:
        """Those that may be sent."""
        return [each for each in self.waiting() if time.time() - each.taken > _AT_REST]

    def sent(self, waiting: Waiting) -> None:
        """Remove a file that the registry has."""
        waiting.path.unlink(missing_ok=True)

    def bound(self, most: int, keep: float) -> int:
        """Drop the oldest files until the rest fits; returns how many lines were lost by it."""
        waiting = self.waiting()
        size, lost, now = sum(each.size for each in waiting), 0, time.time()
        for each in waiting:
            if size <= most and now - each.taken <= keep:
                break
            lines = _lines_of(each.path)
            self._count(number=self.newest, dropped=self.dropped + lines)
            lost += lines
            each.path.unlink()
            size -= each.size
        return lost

    def _count(self, *, number: int, dropped: int) -> None:
        self._counted = _Counted(number=number, dropped=dropped)
        replace_file(self._file, msgspec.json.encode(self._counted))


def pack(path: Path, into: Path) -> None:
    """Write a file as it travels: the same bytes for the same lines. Devices have little memory, so piece by piece."""
    with (
        path.open("rb") as lines,
        into.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as packed,
    ):
        shutil.copyfileobj(lines, packed, _PIECE)


def _lines_of(path: Path) -> int:
    with path.open("rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(_PIECE), b""))
