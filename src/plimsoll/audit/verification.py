"""Whether the lines of an audit log are all that was written, and as it was written. Pure.

The first finding names the line and what happened to it. Findings after it may follow from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from plimsoll.audit.chain import CHECKPOINT, DROPPED, ERASED, LOST, OWN, TORN, Link, Linked, read, signed_text
from plimsoll.decoding import UNREADABLE

Wrong = Literal["changed", "removed", "reordered", "cut", "unsigned"]
LONGEST_UNSIGNED = timedelta(hours=2)
"""A server signs every hour: a tail that is longer than this was not left by one that works."""
MOST_FINDINGS = 100


class Place(Struct, frozen=True, kw_only=True):
    """A line of a file, from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Finding(Struct, frozen=True, kw_only=True):
    """What is wrong, where, and in words."""

    kind: Wrong
    place: Place
    text: str


class Signatures(Protocol):
    """Verifies checkpoints."""

    def __bool__(self) -> bool:
        """Whether there is a key at all."""

    def verifies(self, key_id: str, signature: str, text: bytes) -> bool:
        """Whether a certified key has signed this text."""


class Verified(Struct, kw_only=True):
    """What a log has. `calls` counts lines of calls, `signed` those up to the last checkpoint that verifies.

    `erased` counts calls of which only the place in the chain is left, as a signed certificate of an erasure says.
    """

    lines: int = 0
    calls: int = 0
    erased: int = 0
    checkpoints: int = 0
    signed: int = 0
    lost: int = 0
    head: Link | None = None
    findings: list[Finding] = []
    notes: list[str] = []

    def find(self, kind: Wrong, place: Place, text: str) -> None:
        """Add a finding."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(kind=kind, place=place, text=text))


class _Chain:
    """One chain, line by line. `numbers` gives those of all its lines, to tell a removed line from a moved one."""

    def __init__(
        self, verified: Verified, numbers: Callable[[], frozenset[int]], signatures: Signatures | None
    ) -> None:
        self._verified, self._numbers, self._signatures = verified, numbers, signatures
        self.last: Link | None = None
        self.first: tuple[int, Place] | None = None
        self.dropped = 0
        """The highest number that the log itself says was rotated away."""
        self._known = True
        """Whether the digest of the line before is known: after a finding there is nothing to compare."""
        self._seen: set[int] = set()
        self._before: Place | None = None

    def take(self, place: Place, line: Linked, values: Mapping[str, object]) -> None:
        """Hold the next line against the one before it."""
        link, verified = line.link, self._verified
        if not line.whole:
            verified.find("changed", place, f"line {link.number} of the log was changed: its digest is another")
        elif self.last is None:
            self.first = link.number, place
        else:
            self._follow(place, line)
        if line.whole or self.last is None or link.number == self.last.number + 1:
            self._seen.add(link.number)
            self.last = link
        self._known, self._before = line.whole, place
        self._tell(place, line, values)

    def unreadable(self, place: Place) -> None:
        """A line that is none: it stands where the next one should."""
        self._verified.find("changed", place, "this is no line of an audit log: it was changed or put in")
        if self.last is not None:
            self.last = Link(chain=self.last.chain, number=self.last.number + 1)
            self._seen.add(self.last.number)
        self._known = False

    def _follow(self, place: Place, line: Linked) -> None:
        link, last, verified = line.link, self.last, self._verified
        assert last is not None  # noqa: S101 - the caller has asked
        expected = last.number + 1
        if link.number == expected:
            if self._known and line.previous != last.digest:
                where = self._before or place
                verified.find(
                    "changed", where, f"line {last.number} is another than the one that line {expected} names"
                )
        elif link.number < expected:
            kind: Wrong = "changed" if link.number in self._seen else "reordered"
            text = "stands here a second time" if kind == "changed" else f"stands after line {last.number}"
            verified.find(kind, place, f"line {link.number} {text}")
        else:
            missing = range(expected, link.number)
            named = f"line {expected}" if len(missing) == 1 else f"lines {expected} to {link.number - 1}"
            if expected in self._numbers():
                verified.find("reordered", place, f"{named} should stand before this one, and stands elsewhere")
            else:
                verified.find("removed", place, f"{named} should stand before this one, and is missing")

    def _tell(self, place: Place, line: Linked, values: Mapping[str, object]) -> None:
        event, verified = values.get("event"), self._verified
        number = values.get("through" if event == DROPPED else "count")
        if event == DROPPED and isinstance(number, int):
            self.dropped = max(self.dropped, number)
        elif event == LOST and isinstance(number, int):
            verified.lost += number
            verified.notes.append(f"{place}: {number} calls have no line: {values.get('reason', '')}")
        elif event == CHECKPOINT and self._signatures:
            before = Link(chain=line.link.chain, number=line.link.number - 1, digest=line.previous)
            signed = self._signatures.verifies(
                str(values.get("key", "")), str(values.get("signature", "")), signed_text(before)
            )
            if signed:
                verified.checkpoints += 1
                verified.signed = line.link.number
            elif line.whole:
                verified.find(
                    "changed", place, f"the signature of checkpoint {line.link.number} is by no certified key"
                )


Lines = Callable[[], Iterable[tuple[Place, bytes]]]
"""The lines of a log with their ends, as often as they are asked for."""


def verify(
    lines: Lines,
    *,
    signatures: Signatures | None = None,
    head: Link | None = None,
    expected: Sequence[Link] = (),
    erased: Collection[Link] = (),
    stream: bool = False,
) -> Verified:
    """Hold lines against their chain. `head` is where the writer says that it has come to.

    `erased` are lines whose content was erased, as their owner has signed: their digests stand and their bytes do not.
    `expected` are lines that somebody noted elsewhere, which must be there as they were. With `stream` the lines are
    the output of several processes: each has a chain of its own, and lines that are none of them are passed over.
    """
    noted = [*expected, *([head] if head is not None and head.number else [])]
    return _Verification(lines, signatures, noted, frozenset(erased), stream=stream).run()


class _Verification:
    def __init__(
        self,
        lines: Lines,
        signatures: Signatures | None,
        noted: Sequence[Link],
        erased: frozenset[Link],
        *,
        stream: bool,
    ) -> None:
        self._lines, self._signatures, self._stream = lines, signatures, stream
        self._erased = erased
        self._wanted = {(each.chain, each.number): each for each in noted}
        self._verified = Verified()
        self._chains: dict[str, _Chain] = {}
        self._present: _Chain | None = None
        self._unsigned_since: datetime | None = None
        self._last_at: datetime | None = None
        self._last_place = Place(file="", line=0)
        self._numbers: dict[str, set[int]] | None = None

    def run(self) -> Verified:
        """Go through the lines, each with the one after it, which may tell why it is none."""
        waiting: tuple[Place, bytes] | None = None
        for following in self._lines():
            if waiting is not None:
                self._take(waiting[0], waiting[1], following[1])
            waiting = following
        if waiting is not None:
            self._take(waiting[0], waiting[1], None)
        self._end()
        return self._verified

    def _take(self, place: Place, raw: bytes, following: bytes | None) -> None:
        content = raw.removesuffix(b"\n")
        line = read(content)
        values = _values(content) if line is not None else None
        if line is None or values is None or raw == content:
            self._take_strange(place, raw, following)
            return
        if not line.whole and values.get("event") == ERASED and line.link in self._erased:
            line = replace(line, whole=True)
            self._verified.erased += 1
        self._last_place = place
        verified, chain = self._verified, self._chain(line, place)
        self._present = chain
        signed = verified.signed
        chain.take(place, line, values)
        verified.lines += 1
        verified.calls += values.get("event") not in OWN
        self._last_at = _time(values) or self._last_at
        self._unsigned_since = None if verified.signed != signed else self._unsigned_since or self._last_at
        noted = self._wanted.pop((line.link.chain, line.link.number), None)
        if noted is not None and noted.digest != line.link.digest:
            verified.find("changed", place, f"line {noted.number} is another than the one that was written")

    def _take_strange(self, place: Place, raw: bytes, following: bytes | None) -> None:
        if self._stream:
            return
        if following is not None and _is_told_torn(raw.removesuffix(b"\n"), following):
            self._verified.notes.append(f"{place}: the line was torn when its server ended; the log goes on after it")
        elif following is None and not raw.endswith(b"\n"):
            # A server that ended, or one that writes now. That nothing else is missing, the head tells.
            self._verified.notes.append(f"{place}: the last line is not whole, and is not counted")
        else:
            self._last_place = place
            if self._present is None:
                self._present = _Chain(self._verified, frozenset, self._signatures)
            self._present.unreadable(place)

    def _chain(self, line: Linked, place: Place) -> _Chain:
        name = line.link.chain
        if name not in self._chains:
            if self._chains and not self._stream and line.whole:
                text = "another chain begins here: the log before it was replaced, or its end and its head were"
                self._verified.find("cut", place, text)
            if self._chains and not self._stream and not line.whole and self._present is not None:
                return self._present
            self._chains[name] = _Chain(self._verified, lambda: self._all_numbers(name), self._signatures)
        return self._chains[name]

    def _all_numbers(self, chain: str) -> frozenset[int]:
        """The numbers of all whole lines of a chain; the lines are read again, once, and only where one is missed."""
        if self._numbers is None:
            self._numbers = {}
            for _, raw in self._lines():
                line = read(raw.removesuffix(b"\n"))
                if line is not None and (line.whole or line.link in self._erased):
                    self._numbers.setdefault(line.link.chain, set()).add(line.link.number)
        return frozenset(self._numbers.get(chain, ()))

    def _end(self) -> None:
        verified = self._verified
        for chain in self._chains.values():
            _check_beginning(chain, verified)
        if self._present is not None and self._present.last is not None:
            verified.head = self._present.last
        for noted in self._wanted.values():
            last = self._chains[noted.chain].last if noted.chain in self._chains else None
            if last is None or last.number < noted.number:
                verified.find("cut", self._last_place, f"the log went on to line {noted.number} after this one")
        if self._signatures is not None:
            _check_signed(verified, self._last_place, self._unsigned_since, self._last_at, self._signatures)


def _check_beginning(chain: _Chain, verified: Verified) -> None:
    if chain.first is None or chain.first[0] == 1:
        return
    number, place = chain.first
    if number - 1 <= chain.dropped:
        verified.notes.append(f"lines 1 to {number - 1} were rotated away, as the log says itself")
    else:
        text = f"lines 1 to {number - 1} should stand before this one; name the files they were moved to"
        verified.findings.insert(0, Finding(kind="cut", place=place, text=text))


def _check_signed(
    verified: Verified, place: Place, since: datetime | None, last: datetime | None, signatures: Signatures
) -> None:
    if not signatures:
        verified.notes.append("the log is chained and not signed: there is no certified key for it")
    elif since is not None and last is not None and last - since > LONGEST_UNSIGNED:
        verified.find("unsigned", place, f"no checkpoint since {since.isoformat()}: nobody has signed the last lines")
    elif since is not None:
        verified.notes.append(f"the lines since {since.isoformat()} are chained and not signed yet")


def _is_told_torn(content: bytes, following: bytes) -> bool:
    """Whether the next line says that exactly these bytes were left by a server that ended."""
    line = read(following.removesuffix(b"\n"))
    if line is None or not line.whole:
        return False
    values = _values(following) or {}
    return values.get("event") == TORN and values.get("sha256") == hashlib.sha256(content).hexdigest()


def _values(content: bytes) -> Mapping[str, object] | None:
    try:
        return msgspec.json.decode(content, type=dict[str, object])
    except UNREADABLE:
        return None


def _time(values: Mapping[str, object]) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(values.get("at")))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
