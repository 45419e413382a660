"""Writes lines of logs as they travel: those that are wanted, pressed together. Devices have little memory."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable
from pathlib import Path

from plimsoll.edge.choosing import Choice
from plimsoll.edge.documents import UploadRule

_PIECE = 1 << 16
_LONGEST = 4 << 20
"""Bytes of a line that is looked at; a longer one is sent as it is."""


def pack(paths: Iterable[Path], into: Path, rule: UploadRule) -> tuple[int, int]:
    """Write the wanted lines of files one after another: how many are in it, and how many were left out.

    The same lines give the same bytes. A file whose last line was cut off by an end of its server gets its line end.
    """
    kept = left = 0
    choice = Choice(rule)
    with (
        into.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as packed,
    ):
        for path in paths:
            with path.open("rb") as lines:
                open_line = False
                while piece := lines.readline(_LONGEST):
                    ended = piece.endswith(b"\n") or len(piece) < _LONGEST
                    if open_line or not ended or choice.wants(piece.rstrip(b"\n")):
                        packed.write(piece if piece.endswith(b"\n") or not ended else piece + b"\n")
                        kept += ended
                    else:
                        left += 1
                    open_line = not ended
                if open_line:
                    packed.write(b"\n")
                    kept += 1
    descriptor = os.open(into, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return kept, left


def lines_of(path: Path) -> int:
    """The lines of a file, packed or not."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(_PIECE), b""))
