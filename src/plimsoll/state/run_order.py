"""The order in which the runs of a directory began, without opening every journal each time.

The first line of a journal has the run's number and is never written again. A file beside the runs keeps the numbers
of the older ones, each with the time of the run's directory: an entry whose directory has another time, or whose first
line was not whole, is read anew.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.files import replace_file

JOURNAL = "journal.jsonl"
FILE = "run-order.json"
_NEW = 32
"""Runs that are read each time before the file is written again."""
_Numbers = Mapping[str, tuple[int, int]]
"""By run, the time of its directory and its number."""


class _Begun(Struct, frozen=True):
    number: int = 0


@decodable
class _FirstLine(Struct, frozen=True):
    """What the order of runs takes from the first line of a journal, which records the plan."""

    fact: _Begun


def runs_in_order(runs: Path, kept: Path) -> dict[str, int]:
    """The numbers of all runs that have a journal, by number and then by id; `kept` is the file with numbers."""
    known = _read(kept)
    found: dict[str, int] = {}
    whole: dict[str, tuple[int, int]] = {}
    unread = 0
    for name, time in _directories(runs):
        before = known.get(name)
        if before is not None and before[0] == time:
            found[name], whole[name] = before[1], before
            continue
        unread += 1
        line = _first_line(runs / name / JOURNAL)
        if line is None:
            continue
        found[name] = _number(line)
        if line.endswith(b"\n"):
            whole[name] = (time, found[name])
    if unread > _NEW and whole != known:
        # Where it cannot be written, the journals are read again the next time.
        with contextlib.suppress(OSError):
            replace_file(kept, msgspec.json.encode(whole), durable=False)
    return {run: found[run] for run in sorted(found, key=lambda run: (found[run], run))}


def number_of(journal: Path) -> int:
    """The number of the run of a journal; 0 for one that recorded none."""
    return _number(_first_line(journal) or b"")


def _first_line(journal: Path) -> bytes | None:
    """The first line of a journal; `None` where there is no journal, empty where it cannot be read."""
    try:
        with journal.open("rb") as file:
            return file.readline()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return b""


def _number(line: bytes) -> int:
    try:
        return msgspec.json.decode(line, type=_FirstLine).fact.number
    except UNREADABLE:
        return 0


def _directories(runs: Path) -> Iterator[tuple[str, int]]:
    with contextlib.suppress(OSError), os.scandir(runs) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                yield entry.name, entry.stat().st_mtime_ns


def _read(kept: Path) -> _Numbers:
    try:
        return msgspec.json.decode(kept.read_bytes(), type=_Numbers)
    except (*UNREADABLE, OSError):
        return {}
