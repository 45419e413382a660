"""Keeps the place of a caller until its answer is complete, also one that comes in pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable

from plimsoll.runtime.server.identities.limits import Place
from plimsoll.runtime.server.responses import Response, Stream


async def until_left(place: Place, reply: Awaitable[Response | Stream]) -> Response | Stream:
    """The answer, after which the place is left; after its last piece, if it has several."""
    try:
        answer = await reply
    except BaseException:  # also a cancelled request gives its place back
        place.leave()
        raise
    if isinstance(answer, Stream):
        return Stream(_Pieces(place, answer.pieces), answer.content_type, answer.headers)
    place.leave()
    return answer


class _Pieces:
    """The pieces of a stream. A generator that nobody has begun would not run to its end when it is closed."""

    def __init__(self, place: Place, pieces: AsyncIterator[bytes]) -> None:
        self._place = place
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._pieces)
        except BaseException:  # the end, a defect, or a cancelled request
            self._place.leave()
            raise

    async def aclose(self) -> None:
        self._place.leave()
        await self._pieces.aclose()  # type: ignore[attr-defined]  # it is a generator
