"""The files of an audit log: the present one, those before it, and the head, which says where the chain has come to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.audit.chain import Link
from plimsoll.audit.verification import Place
from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import FileError
from plimsoll.files import open_regular

HEAD = ".head"
LOG = "audit.jsonl"
LONGEST_LINE = 64 << 20
"""Bytes of a line: a log of a server has no longer one, and a file of another kind is not read whole."""


@decodable
class Head(Struct, frozen=True, kw_only=True):
    """Where a log has come to. `size` is that of its file; `signed` the hour of its last checkpoint."""

    chain: str
    number: int
    digest: str
    size: int = 0
    signed: int = 0

    @property
    def link(self) -> Link:
        """The last line."""
        return Link(chain=self.chain, number=self.number, digest=self.digest)


def read_head(log: Path) -> Head | None:
    """What the head of a log says; `None` without one that can be read."""
    try:
        return msgspec.json.decode(log.with_name(log.name + HEAD).read_bytes(), type=Head)
    except (*UNREADABLE, OSError):
        return None


def files_of(log: Path) -> list[Path]:
    """The files of a log, the oldest first. Raises FileError without any."""
    numbered = []
    for path in log.parent.glob(f"{log.name}.*"):
        found = re.fullmatch(r"\.([1-9][0-9]{0,5})", path.name.removeprefix(log.name))
        if found:
            numbered.append((int(found[1]), path))
    files = [path for _, path in sorted(numbered, reverse=True)]
    files += [log] if log.exists() or not files else []
    if not files[0].exists():
        hint = "services keep one with `telemetry: {audit: true}` in the application file"
        raise FileError("there is no audit log", where=str(log), hint=hint)
    return files


def lines_of(files: Sequence[Path]) -> Iterator[tuple[Place, bytes]]:
    """The lines of files, with their ends. Raises FileError."""
    for path in files:
        try:
            with open_regular(path) as file:
                number = 0
                while line := file.readline(LONGEST_LINE):
                    number += 1
                    yield Place(file=str(path), line=number), line
        except OSError as error:
            raise FileError(f"the audit log cannot be read: {error.strerror}", where=str(path)) from error
