"""The side of a connection that sends: responses as a whole, long ones in pieces, and streams."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable
from http import HTTPStatus

from plimsoll.runtime.server.bodies import Body
from plimsoll.runtime.server.heads import BadHead, Chunks, Head
from plimsoll.runtime.server.listening import Answering, Listening
from plimsoll.runtime.server.outgoing import PIECE, Outgoing
from plimsoll.runtime.server.refusals import defect
from plimsoll.runtime.server.responses import Response, Stream, encoded, error
from plimsoll.runtime.server.streaming import StreamWriter


class Responding(asyncio.BufferedProtocol):
    """Its state is that of the connection, which subclasses it."""

    _application: Answering
    _listening: Listening
    _transport: asyncio.Transport
    _buffer: bytearray
    _body: Body | Chunks | None
    _outgoing: Outgoing | None
    _writer: StreamWriter | None
    _last: bool
    _half_closed: bool
    _discarding: bool
    _ended: bool
    _waiting: int
    client: str
    head: Head | None
    answering: bool
    stuck: bool
    active: bool

    @abstractmethod
    def _continue(self) -> None:
        """Go on with the next request."""

    @abstractmethod
    def _count_held(self) -> bool:
        """Count what this connection holds."""

    async def _answer_later(self, head: Head, response: Awaitable[Response | Stream]) -> None:
        try:
            answer = await response
        except Exception:  # noqa: BLE001 - without a response the client would wait until its own time limit
            answer = self._application.refuse(head, defect(), self.client)
        if isinstance(answer, Stream):
            await self._send_stream(head, answer)
            return
        self.answering = False
        self.head = None
        self.active = True
        self._waiting = 0
        if self._ended:
            return
        self._send(head, answer)
        self._continue()

    async def _send_stream(self, head: Head, stream: Stream) -> None:
        last = self._is_last(head)
        self._writer = StreamWriter(self._transport)
        try:
            await self._writer.send(stream, self._listening.date, last=last)
        except Exception:  # noqa: BLE001 - what has been sent cannot be taken back: the client sees that it breaks off
            defect()
            self._transport.abort()
            return
        finally:
            self._writer = None
        self.answering = False
        self.head = None
        self._waiting = 0
        if last or self._last:
            self._ended = True
            self._close_gently()
        else:
            self._continue()

    def _is_last(self, head: Head) -> bool:
        """Whether the connection is closed after the response."""
        return (
            self._last
            or (self._half_closed and not self._buffer)
            or not head.keep_alive
            or self._listening.closes_after_response()
        )

    def _send(self, head: Head, response: Response) -> None:
        last = self._is_last(head)
        parts = encoded(response, self._listening.date, last=last, bodiless=head.method == "HEAD")
        if len(parts) == 1 and len(parts[0]) <= PIECE:
            self._transport.write(parts[0])
        elif sum(map(len, parts)) <= PIECE:
            self._transport.writelines(parts)
        else:
            self._outgoing = Outgoing(parts)
            self.head, self.answering = head, True
            self._last |= last
            self._send_more()
            return
        if last:
            self._ended = True
            self._close_gently()

    def _send_more(self) -> None:
        """Write the next piece of a long response, and go on in a later turn or when the client has read it."""
        outgoing = self._outgoing
        if outgoing is None or self._ended or self._transport.is_closing():
            return
        self.active = True
        self._transport.writelines(outgoing.take())
        self._waiting = outgoing.left
        if outgoing.left:
            self._count_held()
            if not self.stuck:
                self._listening.later(self._send_more)
            return
        self._outgoing = self.head = None
        self.answering = False
        if self._last:
            self._ended = True
            self._close_gently()
        else:
            self._continue()

    def _refuse(self, bad: BadHead) -> None:
        """Answer a request after which the stream cannot be read, and close."""
        self._application.unread(self.head, bad.status, str(bad), self.client)
        # Who has found no room may come again soon.
        later = b"retry-after: 1\r\n" if bad.status == HTTPStatus.SERVICE_UNAVAILABLE else b""
        self._end_with(error(bad.status, str(bad), later))

    def _end_with(self, response: Response) -> None:
        """Send a last response and close."""
        self._transport.writelines(encoded(response, self._listening.date, last=True, bodiless=False))
        self._close_gently()

    def _close_gently(self) -> None:
        """Close after the response. Further bytes are read and dropped: a reset would discard the response."""
        self._buffer.clear()
        self._body = self.head = None
        self._discarding = True
        self._count_held()
        if self._half_closed or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._transport.write_eof()
            if not self.stuck:
                self._transport.resume_reading()
