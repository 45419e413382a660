"""Logs of the services that wait for the link, within bounds of bytes and time.

A log is taken by renaming it; the server writes on in a new file. When nobody writes to it any more, what a device has
taken of a log is pressed together, without the lines that nobody wants, and gets a number. A file with a number is
removed when the registry has it. A number is never given to other lines, so that what is sent again after a cut of the
power is known for what it is; and a file that was taken is known by its own number in the name of the pressed one, so
that its lines get no second number.
"""

from __future__ import annotations

import os
import re
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.edge.agent.packing import lines_of, pack
from plimsoll.edge.documents import UploadRule
from plimsoll.files import flush, replace_file

_TAKEN = re.compile(r"(?P<first>\d{10})-(?P<service>[a-z0-9-]{1,63})-(?P<log>access|audit)\.jsonl")
_PACKED = re.compile(
    r"(?P<number>\d{10})-(?P<first>\d{10})-(?P<last>\d{10})-(?P<service>[a-z0-9-]{1,63})-(?P<log>access|audit)\.jsonl\.gz"
)
LOGS = ("access", "audit")
PIECE = 8 << 20
"""Bytes of lines in one file that travels."""
PRESSED = 1 << 20
"""Bytes of a log that are pressed together also while there is no link: a disk keeps ten times as many lines then."""
_AT_REST = 2.0
"""Seconds after which nobody writes to a renamed file: the server looks for the move before each write."""


class Waiting(Struct, frozen=True, kw_only=True):
    """A file that waits: its number (0 before it was pressed), what it is of, its bytes, and when it was taken."""

    number: int
    first: int
    last: int
    service: str
    log: str
    path: Path
    size: int
    taken: float


@decodable
class _Counted(Struct, frozen=True, kw_only=True):
    number: int = 0
    taken: int = 0
    dropped: int = 0
    left: int = 0
    above: int | None = None


class Spool:
    """A directory of files that wait."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = directory / "counted.json"
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._counted = msgspec.json.decode(self._file.read_bytes(), type=_Counted)
        except (FileNotFoundError, *UNREADABLE):
            self._counted = _Counted()
        for path in directory.glob(".*"):
            path.unlink(missing_ok=True)
        # Files that are here have their numbers, whatever became of the count.
        packed, taken = self.waiting(), self._taken()
        number = max((each.number for each in packed), default=0)
        last = max((each.last for each in (*packed, *taken)), default=0)
        self._counted = replace(
            self._counted, number=max(number, self._counted.number), taken=max(last, self._counted.taken)
        )
        for each in taken:
            if any(_holds(one, each) for one in packed):
                each.path.unlink()

    @property
    def above(self) -> int | None:
        """The last number of a device of this name that lost its disk, after which ours are; None until it is known."""
        return self._counted.above

    def begin_above(self, number: int) -> None:
        """Have all numbers come after one that the registry has from an earlier life of the device. Raises OSError."""
        self._count(replace(self._counted, above=number))

    @property
    def dropped(self) -> int:
        """Lines that were dropped, since there was no room or their time was over."""
        return self._counted.dropped

    @property
    def left(self) -> int:
        """Lines that nobody wants."""
        return self._counted.left

    @property
    def newest(self) -> int:
        """The highest number that was given."""
        return self._counted.number

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return sum(each.size for each in (*self.waiting(), *self._taken()))

    def take(self, service: str, log: str, path: Path) -> bool:
        """Take a log of a service, if there is anything in it. Returns whether it was taken.

        What its server has put aside, since it was long, is taken before it.
        """
        aside = sorted(path.parent.glob(f"{path.name}.[0-9]"), reverse=True)
        taken = [self._take(service, log, each) for each in (*aside, path)]
        return any(taken)

    def press(self, rule: UploadRule, *, linked: bool) -> None:
        """Press files at rest together and give them numbers; without a link only what is large. Raises OSError."""
        now = time.time()
        logs: dict[tuple[str, str], list[Waiting]] = {}
        for each in self._taken():
            logs.setdefault((each.service, each.log), []).append(each)
        for found in logs.values():
            # In the order in which they were written: what comes after one that is not at rest has to wait for it.
            still = next((n for n, each in enumerate(found) if now - each.taken <= _AT_REST), len(found))
            rest = found[:still]
            if not linked and sum(each.size for each in rest) < PRESSED:
                continue
            for piece in _pieces(rest, min(PIECE, rule.budget // 2) if rule.budget else PIECE):
                self._press(piece, rule)

    def waiting(self) -> list[Waiting]:
        """The files with numbers, in their order."""
        return self._files(_PACKED)

    def sent(self, waiting: Waiting) -> None:
        """Remove a file that the registry has."""
        waiting.path.unlink(missing_ok=True)

    def drop(self, waiting: Waiting) -> int:
        """Remove a file that cannot be kept; its lines are counted as lost."""
        try:
            lines = lines_of(waiting.path)
        except (OSError, EOFError, zlib.error):
            # A disk has eaten it: that a file was lost is all that can be told.
            lines = 1
        counted = replace(self._counted, dropped=self.dropped + lines)
        try:
            self._count(counted)
        except OSError:
            # The disk is full, and what is dropped makes room on it.
            self._counted = counted
        waiting.path.unlink(missing_ok=True)
        return lines

    def bound(self, most: int, keep: float) -> int:
        """Drop the oldest files until the rest has at most so many bytes and seconds; the lines lost by it."""
        found = sorted((*self.waiting(), *self._taken()), key=lambda each: (each.last, each.first))
        size, lost, now = sum(each.size for each in found), 0, time.time()
        for each in found:
            if size <= most and now - each.taken <= keep:
                break
            lost += self.drop(each)
            size -= each.size
        return lost

    def _take(self, service: str, log: str, path: Path) -> bool:
        try:
            if not path.stat().st_size:
                return False
        except FileNotFoundError:
            return False
        number = self._counted.taken + 1
        # The number is on the disk before the file has it: it is not given again.
        self._count(replace(self._counted, taken=number))
        try:
            path.rename(self._directory / f"{number:010d}-{service}-{log}.jsonl")
        except FileNotFoundError:
            # Its server has put it aside at this moment: the next look takes it.
            return False
        flush(self._directory)
        return True

    def _press(self, piece: Sequence[Waiting], rule: UploadRule) -> None:
        partial = self._directory / ".pressed"
        kept, left = pack([each.path for each in piece], partial, rule)
        number, first, last = self._counted.number + bool(kept), piece[0], piece[-1]
        if kept:
            # It waits as long as what it was made of.
            os.utime(partial, (last.taken, last.taken))
            name = f"{number:010d}-{first.first:010d}-{last.last:010d}-{first.service}-{first.log}.jsonl.gz"
            partial.rename(self._directory / name)
            flush(self._directory)
        self._count(replace(self._counted, number=number, left=self.left + left))
        for each in piece:
            each.path.unlink()
        partial.unlink(missing_ok=True)

    def _taken(self) -> list[Waiting]:
        return self._files(_TAKEN)

    def _files(self, pattern: re.Pattern[str]) -> list[Waiting]:
        found = []
        for path in sorted(self._directory.iterdir()):
            if match := pattern.fullmatch(path.name):
                parts, about = match.groupdict(), path.stat()
                first = int(parts["first"])
                found.append(
                    Waiting(
                        number=int(parts.get("number", 0)),
                        first=first,
                        last=int(parts.get("last", first)),
                        service=parts["service"],
                        log=parts["log"],
                        path=path,
                        size=about.st_size,
                        taken=about.st_mtime,
                    )
                )
        return found

    def _count(self, counted: _Counted) -> None:
        self._counted = counted
        replace_file(self._file, msgspec.json.encode(counted))


def _pieces(found: Sequence[Waiting], most: int) -> list[list[Waiting]]:
    """Files in groups of so many bytes; one that is larger is alone."""
    pieces: list[list[Waiting]] = []
    size = 0
    for each in found:
        if not pieces or size + each.size > most:
            pieces.append([])
            size = 0
        pieces[-1].append(each)
        size += each.size
    return pieces


def _holds(packed: Waiting, taken: Waiting) -> bool:
    return (packed.service, packed.log) == (taken.service, taken.log) and packed.first <= taken.first <= packed.last
