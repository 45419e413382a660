"""All connections of a server: who may come, who has drawn something out too long, and how it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from email.utils import formatdate
from typing import Any, Protocol

from plimsoll.runtime.server.connection import Connection
from plimsoll.runtime.server.heads import Head, read_head
from plimsoll.runtime.server.options import Patience
from plimsoll.runtime.server.responses import Buffer, Reply

MOST_KNOWN_HEADS = 512
LONGEST_KNOWN_HEAD = 2048
"""Heads that are remembered, and bytes of one: clients repeat theirs, so that most need not be read again."""
SCRATCH = 64 << 10
"""Bytes that are read at once, but for bodies that are known to be longer."""
LINGER = 2.0
"""Seconds that a refused client has to read the reason."""


class Answering(Protocol):
    """What answers the requests of connections. `largest_body` is in bytes."""

    largest_body: int

    def respond(self, head: Head, body: Buffer, client: str) -> Reply:
        """Answer one request, at once where that can be done."""

    def model_of(self, head: Head) -> str:
        """The model that a request is for; empty when it is for none."""


class Listening:
    """The connections of one server process."""

    def __init__(self, application: Answering, patience: Patience | None = None) -> None:
        self.application = application
        self.patience = patience or Patience()
        self.loop: asyncio.AbstractEventLoop
        self.connections: set[Connection] = set()
        self.known: dict[bytes, Head] = {}
        self.scratch = memoryview(bytearray(SCRATCH))
        """What has just been read from any connection; what is kept of it is copied."""
        self.date = b""
        self.draining = False
        self.turns = 0
        """Turns of the event loop in which requests were answered."""
        self.in_turn = False
        self.shedding = 0
        """Connections that are asked to come anew, so that another process may get them."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.look()

    def turn_over(self) -> None:
        """The event loop has been through all that was ready."""
        self.in_turn = False

    def head(self, raw: bytes) -> Head:
        """The head in `raw`, known or read. Raises BadHead."""
        head = self.known.get(raw)
        if head is None:
            head = read_head(raw)
            if head.length is not None and not head.expects and len(raw) <= LONGEST_KNOWN_HEAD:
                if len(self.known) >= MOST_KNOWN_HEADS:
                    self.known.clear()
                self.known[raw] = head
        return head

    def welcome(self, connection: Connection) -> bool:
        """Whether there is room for one more."""
        connection.since = time.monotonic()
        self.connections.add(connection)
        return len(self.connections) <= self.patience.connections

    def farewell(self, connection: Connection) -> None:
        """One has gone."""
        self.connections.discard(connection)

    def later(self, answer: Coroutine[Any, Any, None]) -> None:
        """Let an answer come when it comes."""
        task = asyncio.get_running_loop().create_task(answer)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def last(self, connection: Connection) -> bool:
        """Whether a connection shall end after the response that is being sent."""
        if self.draining:
            return True
        if self.shedding > 0:
            self.shedding -= 1
            return True
        return False

    def look(self) -> None:
        """Look at every connection; called about once a second."""
        self.date = b"date: %b\r\n" % formatdate(usegmt=True).encode()
        now = time.monotonic()
        for connection in list(self.connections):
            seen = (connection.state, connection.turn)
            moved = connection.active and seen[0] != "receiving"
            connection.active = False
            if moved or seen != connection.seen:
                connection.seen = seen
                connection.since = now
            elif now - connection.since > self._limit(connection):
                connection.give_up("the request did not come within its time limit")

    def _limit(self, connection: Connection) -> float:
        length = (connection.head and connection.head.length) or 0
        limits = {
            "idle": self.patience.idle,
            "receiving": self.patience.receive + length / (64 << 10),
            "stuck": self.patience.send,
            "lingering": LINGER,
        }
        return limits.get(connection.state, float("inf"))

    def under_way(self) -> dict[str, int]:
        """Requests that have begun and are not answered, by model."""
        counts: dict[str, int] = {}
        for connection in self.connections:
            head = connection.head
            if head is not None:
                model = self.application.model_of(head)
                if model:
                    counts[model] = counts.get(model, 0) + 1
        return counts

    async def drain(self, seconds: float) -> None:
        """Let what is under way be answered, for at most `seconds`; then everything ends."""
        self.draining = True
        deadline = time.monotonic() + seconds
        # What was on its way when the draining began is still read.
        await asyncio.sleep(0.02)
        for connection in list(self.connections):
            connection.finish()
        while self.connections and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.give_up("the server has ended")
