"""One HTTP/1.1 connection: bytes to requests to bytes, with a limit on the time and memory that a client can take.

It is our own, and not that of an ASGI server, so that the usual request (a known head and its body, in one packet) is
answered within one call, without a task, a scope or a queue. All other requests take a longer path to the same end.
Source: RFC 9112.
"""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from plimsoll.runtime.server.bodies import Body
from plimsoll.runtime.server.heads import LARGEST_HEAD, BadHead, Chunks, Head
from plimsoll.runtime.server.identities.callers import Shown
from plimsoll.runtime.server.listening import Listening
from plimsoll.runtime.server.memory import Memory
from plimsoll.runtime.server.outgoing import Outgoing
from plimsoll.runtime.server.refusals import GONE, Busy, TooLarge, TooMany
from plimsoll.runtime.server.responding import Responding
from plimsoll.runtime.server.responses import CONTINUE, Response, error
from plimsoll.runtime.server.streaming import StreamWriter

END = b"\r\n\r\n"
READ_AHEAD = 256 << 10
"""Bytes of pipelined requests that are read while one is being answered."""
DROP_AGAIN = 0.2
"""Seconds between two reads of what a refused client sends on: reading it costs more than sending it."""
READ_AT_ONCE = 64 << 10
"""Bytes of a body that are read at once."""
REQUESTS_AT_ONCE = 16
"""Pipelined requests that are handled before other connections have their turn."""
EMPTY_LINES = 2
"""Line ends before a request line that are passed over: some old clients send one after a body."""


class Connection(Responding):
    """Answers one request after the other; pipelined ones wait in `_buffer`.

    A body of several pieces is received into its final memory, so that it is not copied again.
    """

    def __init__(self, listening: Listening, trusted: int = 0) -> None:
        """`trusted` is the number of the authorities by which a certificate of its client was judged."""
        self._listening = listening
        self._trusted = trusted
        self._shown: Shown | None = None
        """The certificate of the client."""
        self._encrypted = False
        self._application = listening.application
        self._known = listening.known
        self._buffer = bytearray()
        self._body: Body | Chunks | None = None
        self._last = self._half_closed = self._discarding = self._ended = False
        self._again = False
        """`_advance` has been scheduled for the loop's next turn."""
        self._empty_lines = 0
        self._held = 0
        """Bytes of this connection in the memory of all requests."""
        self._share: Memory | None = None
        """What the caller of the present request may hold of it, where callers have limits of their own."""
        self._waiting = 0
        """Bytes of the request that is being answered and of a response that the client does not read."""
        self._outgoing: Outgoing | None = None
        self._answering: asyncio.Task[None] | None = None
        self._writer: StreamWriter | None = None
        self.head: Head | None = None
        """The request that is under way."""
        self.answering = False
        self.stuck = False
        """The client does not read its response."""
        self.active = True
        """A request or a response has made progress since the last check of the time limits."""
        self.turn = 0
        """Counts requests that were not received in one piece."""
        self.checked: tuple[str, int] | None = None
        self.since = 0.0
        """State and turn at the last check of the time limits, and since when they are so."""
        self.client = ""

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.client = peer[0] if isinstance(peer, tuple) else ""
        encryption = transport.get_extra_info("ssl_object")
        if encryption is not None:
            self._encrypted = True
            certificate = encryption.getpeercert(binary_form=True)
            self._shown = Shown(certificate, self._trusted) if certificate else None
        own = transport.get_extra_info("socket")
        if own is not None and own.family != socket.AF_UNIX:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if not self._listening.add(self):
            self._refuse(BadHead(503, "there are too many connections"))
            if not self._listening.may_linger():
                self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has disconnected; a computation for it ends by itself, unless its endpoint says otherwise.

        A stream is for nobody then, whoever makes it.
        """
        if self._body is not None and self.head is not None and not (self.answering or self._discarding):
            reason = "the client has gone before its request was whole"
            self._application.unread(self.head, GONE, reason, self.client)
        self._ended = True
        if self._answering is not None and (self._writer is not None or self._cancels()):
            self._answering.cancel()
        self._buffer.clear()
        self._body = self._outgoing = None
        self._waiting = 0
        self._count_held()
        self._listening.remove(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """The memory for the next bytes: that of the body that is being received, else the one that all share."""
        body = self._body
        return body.rest[:READ_AT_ONCE] if type(body) is Body and not body.complete else self._listening.scratch

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes have been received: answer a known head and its whole body at once."""
        body = self._body
        if type(body) is Body and not body.complete:
            body.filled(nbytes)
            if not self._count_held():
                return
            if body.complete:
                self._advance()
            elif self._listening.took(nbytes):
                self._hold_up()
            return
        data = bytes(self._listening.scratch[:nbytes])
        if self.head is None and not self._buffer and not self._discarding:
            end = data.find(END) + 4
            head = self._known.get(data[:end]) if end > 3 else None
            if head is not None and len(data) - end == head.length:
                self._handle(head, data[end:])
                return
        if self._discarding:
            self._transport.pause_reading()
            self._listening.loop.call_later(DROP_AGAIN, self._read_on)
            return
        self._buffer += data
        if self._count_held():
            self._advance()
        if self._listening.took(nbytes):
            self._hold_up()

    def _hold_up(self) -> None:
        """Read nothing more in this turn of the loop, which has read enough of what is long."""
        if not self._transport.is_closing():
            self._transport.pause_reading()
            self._listening.later(self._read_on)

    def _read_on(self) -> None:
        if not self._transport.is_closing() and not self.stuck and len(self._buffer) <= READ_AHEAD:
            self._transport.resume_reading()

    def eof_received(self) -> bool:
        """The client sends nothing more; it may still read."""
        self._half_closed = True
        # An encrypted connection is never closed by halves.
        return not self._encrypted and (self.answering or self._again) and not self._discarding and not self._cancels()

    def _cancels(self) -> bool:
        return self.head is not None and self.head.endpoint is not None and self.head.endpoint.cancels

    def pause_writing(self) -> None:
        """The client reads too slowly: nothing is read from it until it has read its responses."""
        self.stuck = True
        self._transport.pause_reading()
        self._waiting = self._transport.get_write_buffer_size() + (self._outgoing.left if self._outgoing else 0)
        self._count_held()
        if self._writer is not None:
            self._writer.pause()

    def resume_writing(self) -> None:
        """The client has read its responses."""
        self.stuck = False
        self.active = True
        self._waiting = self._outgoing.left if self._outgoing else 0
        self._count_held()
        if self._outgoing:
            self._listening.later(self._send_more)
        if self._writer is not None:
            self._writer.resume()
        self._continue()

    # Called by `Listening`.

    @property
    def state(self) -> str:
        """What it waits for: `idle`, `receiving`, `answering`, `stuck` (the client does not read) or `lingering`."""
        if self.stuck:
            return "stuck"
        if self._discarding:
            return "lingering"
        if self.answering:
            return "answering"
        return "idle" if self.head is None and not self._buffer else "receiving"

    def finish(self) -> None:
        """Close after the request that is under way, at once when there is none."""
        self._last = True
        if self.state == "idle":
            self._transport.close()

    def time_out(self, reason: str) -> None:
        """Close because the client was too slow; it gets the reason when a response can still be sent."""
        if self.state == "receiving":
            self._refuse(BadHead(408, reason))
        else:
            self._transport.abort()

    def close_for_another(self) -> None:
        """Close at once, as a new client needs the place."""
        self._transport.abort()

    # From bytes to requests.

    def _advance(self) -> None:
        """Handle the requests that are complete."""
        self._again = False
        try:
            for _ in range(REQUESTS_AT_ONCE):
                if not self._handle_next():
                    break
            else:
                self._advance_soon()
        except BadHead as bad:
            self._refuse(bad)
        except TooLarge as refusal:
            assert self.head is not None  # noqa: S101 - only a body is too large
            self._end_with(self._application.refuse(self.head, refusal, self.client))
        self._count_held()
        if self._half_closed and not (self.answering or self._again or self._ended):
            self._transport.close()
        elif len(self._buffer) > READ_AHEAD and not self._ended:
            self._transport.pause_reading()

    def _handle_next(self) -> bool:
        """Handle the next request; false when there is none or it is not complete. Raises BadHead, TooLarge."""
        if self.answering or self.stuck or self._discarding or self._ended:
            return False
        if self.head is None and not self._next_head():
            return False
        head, body = self.head, self._next_body()
        if head is None or body is None:
            return False
        self._body = None
        self.turn += 1
        self._handle(head, body)
        return True

    def _advance_soon(self) -> None:
        """Go on in a later turn of the loop, after the other connections."""
        if not self._again:
            self._again = True
            self._listening.later(self._continue)

    def _count_held(self) -> bool:
        """Count what this connection holds; false when it has been refused because all together hold too much."""
        body = self._body
        held = len(self._buffer) + self._waiting + (body.received if body is not None else 0)
        if held == self._held:
            return True
        fits = self._listening.memory.change(held - self._held)
        within = self._share is None or self._share.change(held - self._held)
        more, self._held = held > self._held, held
        if (fits and within) or not more or self._ended or self._discarding:
            return True
        if self.state != "receiving":
            if not self._transport.is_closing():
                self._transport.pause_reading()
            return True
        busy: Busy | TooMany = Busy(
            "the requests under way hold all the memory that the server gives them", retry_after=1
        )
        if fits:
            busy = TooMany("the requests of this caller hold all the memory that it may have", retry_after=1)
        if self.head is None:
            self._application.unread(None, busy.code, str(busy), self.client)
            self._end_with(error(busy.code, str(busy), b"retry-after: 1\r\n"))
        else:
            self._end_with(self._application.refuse(self.head, busy, self.client))
        return False

    def _continue(self) -> None:
        if self._transport.is_closing() or self.stuck:
            return
        if not self._ended or self._discarding:
            self._transport.resume_reading()
        self._advance()

    def _next_head(self) -> bool:
        buffer = self._buffer
        while buffer[:2] == b"\r\n":
            del buffer[:2]
            self._empty_lines += 1
            if self._empty_lines > EMPTY_LINES:
                raise BadHead(400, "there are empty lines where a request line belongs")
        end = buffer.find(END, 0, LARGEST_HEAD)
        if end < 0:
            if len(buffer) >= LARGEST_HEAD:
                raise BadHead(431, f"the head is larger than {LARGEST_HEAD} bytes")
            return False
        raw = bytes(buffer[: end + 4])
        del buffer[: end + 4]
        self._empty_lines = 0
        self.head = head = self._listening.head(raw)
        largest = self._application.largest(head, self._shown)
        self._hold_for(self._application.share(head, self._shown))
        if head.length is None:
            self._body = Chunks(largest)
        elif head.length > largest:
            raise TooLarge(f"the body is larger than {largest} bytes")
        elif head.length > len(buffer):
            self._body = Body(head.length, head.json_length)
            self._body.fill(buffer)
            buffer.clear()
        if head.expects and self._body is not None and not buffer:
            self._transport.write(CONTINUE)
        return True

    def _hold_for(self, share: Memory | None) -> None:
        """Count what this connection holds as the caller's whose request begins."""
        if share is self._share:
            return
        for each, difference in ((self._share, -self._held), (share, self._held)):
            if each is not None:
                each.change(difference)
        self._share = share

    def _next_body(self) -> bytes | memoryview | None:
        body = self._body
        if body is None:
            length = (self.head and self.head.length) or 0
            taken = bytes(self._buffer[:length])
            del self._buffer[:length]
            return taken
        if isinstance(body, Body):
            return body.whole if body.complete else None
        if body.feed(self._buffer):
            return memoryview(body.body)
        if body.paused:
            self._advance_soon()
        return None

    # From requests to bytes.

    def _handle(self, head: Head, body: bytes | memoryview) -> None:
        self.active = True
        listening = self._listening
        if not listening.in_turn:
            listening.in_turn = True
            listening.turns += 1
            listening.loop.call_soon(listening.end_turn)
        listening.answered += 1
        response = self._application.respond(head, body, self.client, self._shown)
        if isinstance(response, Response):
            self.head = None
            self._send(head, response)
            return
        self.head = head
        self.answering = True
        # A body that came in one piece is small, and their number is that of the models' queues.
        self._waiting = len(body) if self._held else 0
        self._answering = self._listening.run_task(self._answer_later(head, response))
