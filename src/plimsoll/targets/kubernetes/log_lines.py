"""The lines of a container's log as the API gives them with times: which are new, and which are a program's. Pure.

A link that breaks is taken up where it broke by time and not by length: after a rotation the kubelet gives the newest
file alone. The API cuts `sinceTime` to seconds, so that lines of a whole second come again; they are known by their
time and content. What a kubelet writes into the stream when it fails has no time, and is no line of the program.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

_STAMPED = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d) ")
_OVERLAP = timedelta(seconds=1)
"""Two streams of a container reach its log by two ways: a line may come shortly after one with a later time."""


class Lines:
    """What has been taken of one container's log. `since` is where to begin the next link, empty for its first."""

    def __init__(self) -> None:
        self._newest: datetime | None = None
        self._taken: dict[datetime, Counter[int]] = {}
        self._before: dict[datetime, Counter[int]] = {}
        self._rest: list[bytes] = []
        self.remnant = ""
        """What the kubelet said in the place of lines when a link ended."""

    @property
    def since(self) -> str:
        """The time for `sinceTime`."""
        return (self._newest - _OVERLAP).strftime("%Y-%m-%dT%H:%M:%SZ") if self._newest is not None else ""

    def begin(self) -> None:
        """A new link: lines that were taken before come again."""
        self._rest = []
        self.remnant = ""
        self._before = {second: Counter(lines) for second, lines in self._taken.items()}

    def fresh(self, piece: bytes) -> bytes:
        """The new lines in the next piece of a link, without their times."""
        if b"\n" not in piece:
            self._rest.append(piece)
            return b""
        whole, _, rest = b"".join((*self._rest, piece)).rpartition(b"\n")
        self._rest = [rest]
        return b"".join(self._new(whole.split(b"\n")))

    def finish(self) -> bytes:
        """A last line without its end, of a container that prints no more."""
        rest, self._rest = b"".join(self._rest), []
        return b"".join(self._new([rest])).removesuffix(b"\n") if rest else b""

    def _new(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        for line in lines:
            stamp = _STAMPED.match(line)
            if stamp is None:
                self.remnant = line.decode(errors="replace").strip() or self.remnant
                continue
            second = _second(stamp)
            mark = hash(line)
            known = self._before.get(second)
            if known is not None and known[mark] > 0:
                known[mark] -= 1
                continue
            self._note(second, mark)
            yield line[stamp.end() :] + b"\n"

    def _note(self, second: datetime, mark: int) -> None:
        self._taken.setdefault(second, Counter())[mark] += 1
        if self._newest is None or second > self._newest:
            self._newest = second
            self._taken = {each: lines for each, lines in self._taken.items() if each >= second - _OVERLAP}


def _second(stamp: re.Match[bytes]) -> datetime:
    zone = stamp[3].decode().replace("Z", "+00:00")
    return datetime.fromisoformat(stamp[1].decode() + zone).astimezone(UTC)
