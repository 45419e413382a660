"""All connections of a server process: their number, their time limits, and how they end."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Coroutine
from email.utils import formatdate
from typing import Protocol

from plimsoll.runtime.server.heads import Head, read_head
from plimsoll.runtime.server.identities.callers import Shown
from plimsoll.runtime.server.memory import Memory
from plimsoll.runtime.server.options import Patience
from plimsoll.runtime.server.refusals import Refusal
from plimsoll.runtime.server.responses import Buffer, Reply, Response
from plimsoll.runtime.server.turns import Turns

MOST_KNOWN_HEADS = 512
LONGEST_KNOWN_HEAD = 2048
"""Heads that are remembered, and bytes of one: clients repeat theirs, so that most are not parsed again."""
SCRATCH = 64 << 10
"""Bytes that are read at once, except for bodies that are known to be longer."""
MOST_LINGERING = 64
"""Connections beyond the limit that are told why they are refused; more are closed without a word."""
LINGER = 2.0
"""Seconds that a refused client has to read the reason."""


class Answering(Protocol):
    """Answers the requests of all connections. `memory` is what the bodies of all requests may hold together."""

    memory: Memory

    def largest(self, head: Head, shown: Shown | None = None) -> int:
        """Bytes of the largest body that a request with this head may have. `shown` is the client's certificate."""

    def share(self, head: Head, shown: Shown | None) -> Memory | None:
        """What the sender of this head may hold of the memory; None without a limit of its own."""

    def respond(self, head: Head, body: Buffer, client: str, shown: Shown | None = None) -> Reply:
        """Answer one request. Raises nothing; what is awaited may raise, and is then refused as a Defect."""

    def refuse(self, head: Head, refusal: Refusal, client: str) -> Response:
        """The response to a request that the connection refuses."""

    def unread(self, head: Head | None, status: int, reason: str, client: str) -> None:
        """Told of a request that cannot be read, or whose client has gone before it was whole."""

    def model_of(self, head: Head) -> str:
        """The model that an inference is for; empty for other requests."""


class Listened(Protocol):
    """A connection, as `Listening` sees it."""

    head: Head | None
    """The request that is under way."""
    active: bool
    """Whether a request or a response has made progress since the last check of the time limits."""
    turn: int
    """Counts requests that were not received in one piece."""
    checked: tuple[str, int] | None
    """State and turn at the last check."""
    since: float
    """Since when they are so, of `time.monotonic`."""

    @property
    def state(self) -> str:
        """What it waits for."""

    def finish(self) -> None:
        """Close after the request that is under way."""

    def time_out(self, reason: str) -> None:
        """Close because the client was too slow."""

    def close_for_another(self) -> None:
        """Close at once, as a new client needs the place."""


class Listening:
    """The connections of one server process."""

    def __init__(self, application: Answering, patience: Patience | None = None) -> None:
        self.application = application
        self.memory = application.memory
        self.patience = patience or Patience()
        self.connections: set[Listened] = set()
        self.known: dict[bytes, Head] = {}
        self.scratch = memoryview(bytearray(SCRATCH))
        """The bytes that were just read from any connection; a connection copies those that it keeps."""
        self.date = b""
        self.draining = False
        self.answered = 0
        """Requests of any kind so far."""
        self.turns = 0
        """Turns of the event loop in which requests were answered: together they tell how busy the server is."""
        self.in_turn = False
        self.shedding = 0
        """Connections to close after their next answer, so that their clients may reach another process."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.check_time_limits()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of all connections."""
        return self._loop

    @loop.setter
    def loop(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        turns = Turns(loop)
        self.took, self.later = turns.took, turns.later

    def end_turn(self) -> None:
        """Called by the event loop when it has handled everything that was ready."""
        self.in_turn = False

    def head(self, raw: bytes) -> Head:
        """The head in `raw`, remembered or parsed. Raises BadHead."""
        head = self.known.get(raw)
        if head is None:
            head = read_head(raw)
            if head.length is not None and not head.expects and len(raw) <= LONGEST_KNOWN_HEAD:
                if len(self.known) >= MOST_KNOWN_HEADS:
                    self.known.clear()
                self.known[raw] = head
        return head

    def add(self, connection: Listened) -> bool:
        """Add a new connection; false when there are more than the limit and none can be closed for it."""
        if len(self.connections) >= self.patience.connections:
            self._make_room()
        connection.since = time.monotonic()
        self.connections.add(connection)
        return len(self.connections) <= self.patience.connections

    def may_linger(self) -> bool:
        """Whether a connection beyond the limit may stay until its client has read the reason."""
        return len(self.connections) <= self.patience.connections + MOST_LINGERING

    def _make_room(self) -> None:
        """Close the connections that have waited longest for a request, so that many of them keep no client out.

        Some at once, as looking for them takes a while. Requests that are being answered are never among them.
        """
        waiting = [each for each in self.connections if each.state in {"idle", "receiving", "lingering"}]
        some = max(1, self.patience.connections // 64)
        for connection in heapq.nsmallest(some, waiting, key=lambda each: each.since):
            self.connections.discard(connection)
            connection.close_for_another()

    def remove(self, connection: Listened) -> None:
        """Remove a connection that is closed."""
        self.connections.discard(connection)

    def run_task(self, coroutine: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run a coroutine in the background."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def closes_after_response(self) -> bool:
        """Whether the connection that sends a response now is closed after it."""
        if self.draining:
            return True
        if self.shedding > 0:
            self.shedding -= 1
            return True
        return False

    def check_time_limits(self) -> None:
        """Close connections whose clients are too slow, and renew the date; called about once a second."""
        self.date = b"date: %b\r\n" % formatdate(usegmt=True).encode()
        now = time.monotonic()
        for connection in list(self.connections):
            present = (connection.state, connection.turn)
            moved = connection.active and present[0] not in {"receiving", "lingering"}
            connection.active = False
            if moved or present != connection.checked:
                connection.checked = present
                connection.since = now
            elif now - connection.since > self._limit(connection):
                connection.time_out("the request was not received within its time limit")

    def _limit(self, connection: Listened) -> float:
        length = (connection.head and connection.head.length) or 0
        limits = {
            "idle": self.patience.idle,
            "receiving": self.patience.receive + length / (64 << 10),
            "stuck": self.patience.send,
            "lingering": LINGER,
        }
        return limits.get(connection.state, float("inf"))

    def under_way(self) -> dict[str, int]:
        """Inferences that have begun and are not answered, by model."""
        counts: dict[str, int] = {}
        for connection in self.connections:
            head = connection.head
            if head is not None:
                model = self.application.model_of(head)
                if model:
                    counts[model] = counts.get(model, 0) + 1
        return counts

    async def drain(self, seconds: float) -> None:
        """Let the requests that are under way be answered for at most `seconds`, then close all connections."""
        self.draining = True
        deadline = time.monotonic() + seconds
        # Requests that were on their way when draining began are still read.
        await asyncio.sleep(0.02)
        for connection in list(self.connections):
            connection.finish()
        while self.connections and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.time_out("the server has ended")
