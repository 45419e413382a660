"""Entries and heads of a log of what was signed, and what is wrong with a log. Pure.

Each entry is a line of JSON, and its bytes are a leaf of a Merkle tree. It has its number and the digest of the entry
before, by which the first wrong line is found; the signed head has the size and the root of the tree.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.signing.merkle import Frontier, leaf_hash

HEAD_PREDICATE = "https://plimsoll.dev/log-head/v1"


@decodable
class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was about to be signed. The first entry of a log signs nothing: it names the log (`log`)."""

    n: int
    prev: str = ""
    at: datetime
    log: str = ""
    key: str = ""
    statement: str = ""
    kind: str = ""
    predicate: str = ""
    names: tuple[str, ...] = ()
    subjects: int = 0

    def words(self) -> str:
        """What was signed, for people."""
        if self.log:
            return f"the log {self.log} begins"
        more = f" and {self.subjects - len(self.names)} more" if self.subjects > len(self.names) else ""
        what = self.predicate.removeprefix("https://") or "no statement"
        return f"{self.kind:<8}  {', '.join(self.names) or '-'}{more}  {what}"


@decodable
class Head(Struct, frozen=True, kw_only=True):
    """The size and the root of a log, and the bytes that its entries have. A key of the owner signs it."""

    log: str
    size: int
    root: str
    bytes: int
    at: datetime

    def text(self) -> str:
        """The head as it is noted elsewhere: `LOG:SIZE:ROOT`."""
        return f"{self.log}:{self.size}:{self.root}"


class Finding(Struct, frozen=True, kw_only=True):
    """What is wrong with a log, where: `changed`, `removed`, `reordered`, `added`, `cut`, `head` or `rewritten`."""

    place: str
    kind: str
    text: str


class ReadLog(Struct, frozen=True, kw_only=True):
    """The entries of a log as they were read, the digests of their lines, and the first of them that is wrong."""

    entries: tuple[Entry, ...]
    leaves: tuple[bytes, ...]
    finding: Finding | None = None
    torn: int = 0

    def root_at(self, size: int) -> str:
        """The root of the tree of the first entries."""
        frontier = Frontier()
        for leaf in self.leaves[:size]:
            frontier.add(leaf)
        return frontier.root().hex()


def read_entries(content: bytes, place: str) -> ReadLog:
    """Read the lines of a log, and hold each against its number and the digest of the one before."""
    *lines, rest = content.split(b"\n")
    entries: list[Entry] = []
    leaves: list[bytes] = []
    finding: Finding | None = None
    for number, line in enumerate(lines):
        leaf = leaf_hash(line)
        entry = _entry(line)
        if finding is None:
            wrong = _wrong(entry, number, leaves[-1].hex() if leaves else "")
            if wrong is not None:
                finding = Finding(place=f"{place}:{number + 1}", kind=wrong[0], text=wrong[1])
        leaves.append(leaf)
        if entry is not None:
            entries.append(entry)
    return ReadLog(entries=tuple(entries), leaves=tuple(leaves), finding=finding, torn=len(rest))


def _entry(line: bytes) -> Entry | None:
    try:
        return msgspec.json.decode(line, type=Entry)
    except UNREADABLE:
        return None


def _wrong(entry: Entry | None, number: int, before: str) -> tuple[str, str] | None:
    if entry is None:
        return "changed", "the line is no entry of a log"
    if entry.n > number:
        return "removed", f"entry {number} should stand here, and this is entry {entry.n}"
    if entry.n < number:
        return "reordered", f"entry {number} should stand here, and this is entry {entry.n}"
    if entry.prev != before:
        return "changed", "the line before is not the one that this entry was written after, or this one was put in"
    return None


def judge(read: ReadLog, head: Head, place: str) -> list[Finding]:
    """What is wrong with the entries of a log, given its signed head."""
    found = [read.finding] if read.finding is not None else []
    size = len(read.leaves)
    last = f"{place}:{size}"
    if size < head.size:
        found.append(
            Finding(place=last, kind="cut", text=f"the log ends with line {size}, and {head.size} lines were signed")
        )
    elif read.root_at(head.size) != head.root and not found:
        text = f"the {head.size} lines of the signed head are not those that were signed; the last one was changed"
        found.append(Finding(place=f"{place}:{head.size}", kind="changed", text=text))
    if read.entries and read.entries[0].log != head.log and not found:
        found.append(Finding(place=f"{place}:1", kind="rewritten", text=f"the head is of another log, {head.log}"))
    return found


def against_noted(read: ReadLog, log: str, size: int, root: str) -> Finding | None:
    """What is wrong with a log by a head that was noted earlier, elsewhere; None when it only grew since."""
    begun = read.entries[0].log if read.entries else ""
    if begun != log:
        text = f"the log {log} stood here, and now there is {begun or 'none'}"
        return Finding(place="noted head", kind="rewritten", text=text)
    if size > len(read.leaves):
        return Finding(
            place="noted head", kind="cut", text=f"{size} entries were noted, and {len(read.leaves)} are left"
        )
    if read.root_at(size) != root:
        text = f"the first {size} entries are not those that were noted"
        return Finding(place="noted head", kind="rewritten", text=text)
    return None


def as_line(entry: Entry) -> bytes:
    """The bytes of an entry, which are the leaf of the tree."""
    return msgspec.json.encode(entry)


def statements_by(entries: Iterable[Entry], key_id: str) -> set[str]:
    """The digests of what a key has signed."""
    return {each.statement for each in entries if each.key == key_id and each.statement}
