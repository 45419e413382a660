"""What a language model is asked through: an engine's own process, or an endpoint."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

ROOT = "/v1"
"""What the paths of the API begin with, where an address has that in it already."""


Headers = Sequence[tuple[str, str]]
"""Headers of a request that are handed on, none of which has more than a word for a value."""
_WORD = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")


def passing(names: Sequence[str], headers: Mapping[str, str]) -> Headers:
    """Those of a request's headers that are handed on. One whose value is no word is left out."""
    found = ((name, headers.get(name, "")) for name in names)
    return tuple((name, value) for name, value in found if _WORD.fullmatch(value))


class UpstreamGone(Exception):
    """The engine or the endpoint does not answer, or has ended in the middle of an answer; the message says which.

    `reached` says that it may have got the request: it may even be the request that has ended it.
    """

    def __init__(self, message: str, *, reached: bool = True) -> None:
        super().__init__(message)
        self.reached = reached


class Answer(Protocol):
    """An answer on its way. Whoever has it closes it, also in the middle: the tokens stop then."""

    status: int
    retry_after: int | None
    """Seconds after which the upstream wants to be asked again, where it says so."""

    async def next(self) -> bytes:
        """The next bytes; empty at the end. Raises UpstreamGone."""

    async def close(self) -> None:
        """Want no more of it. May be called twice."""


class Upstream(Protocol):
    """Takes requests of the OpenAI API."""

    async def ask(self, path: str, body: bytes, headers: Headers = ()) -> Answer:
        """The answer to a POST, as soon as its first line is there. Raises UpstreamGone."""


MOST_AT_ONCE = 16 << 20
"""Bytes of an answer that is read as a whole."""


async def whole(answer: Answer) -> bytes:
    """All of an answer. Raises UpstreamGone, also for one that is longer than any can be."""
    pieces: list[bytes] = []
    size = 0
    while piece := await answer.next():
        pieces.append(piece)
        size += len(piece)
        if size > MOST_AT_ONCE:
            raise UpstreamGone(f"it sends more than {MOST_AT_ONCE >> 20} MiB in one answer")
    return b"".join(pieces)
