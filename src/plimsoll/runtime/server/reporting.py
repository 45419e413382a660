"""A worker's side of the talk with its supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import time

from plimsoll.errors import PlimsollError
from plimsoll.runtime.server.application import Application
from plimsoll.runtime.server.catalog import NoModel
from plimsoll.runtime.server.control import (
    AskCounts,
    Change,
    Changed,
    FromWorker,
    OtherCounts,
    Report,
    Shed,
    from_supervisor,
    line,
)
from plimsoll.runtime.server.counts import Counts, together
from plimsoll.runtime.server.listening import Listening

PERIOD = 0.2
"""Seconds between two reports."""
ANSWER_LIMIT = 120.0
"""Seconds for the supervisor's answer: a large model may have to be loaded by every worker."""


def counted(application: Application, listening: Listening) -> Counts:
    """All that this process has counted."""
    lost = application.observers.lost
    return Counts(counts=application.catalog.counts(), under_way=listening.under_way(), lost=lost)


class Reporting:
    """Reports load and counts, asks for those of the others, passes changes on."""

    def __init__(self, application: Application, listening: Listening, told: asyncio.Event) -> None:
        self._application = application
        self._listening = listening
        self._told = told
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._reports: asyncio.Task[None]
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[OtherCounts | Changed]] = {}
        self._before = (time.monotonic(), time.process_time(), application.answered, listening.turns)

    @classmethod
    async def over(
        cls, channel: socket.socket, application: Application, listening: Listening, told: asyncio.Event
    ) -> Reporting:
        """Begin to talk; `told` is set when the supervisor has gone."""
        self = cls(application, listening, told)
        self._reader, self._writer = await asyncio.open_connection(sock=channel, limit=64 << 20)
        application.page = self._page
        application.changed = self._changed
        listening.later(self._listen())
        self._reports = asyncio.get_running_loop().create_task(self._report())
        return self

    async def last(self) -> None:
        """Tell the last counts."""
        self._reports.cancel()
        self._say(self._stand())
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self._writer.drain(), 1.0)
        self._writer.close()

    def _say(self, message: FromWorker) -> None:
        self._writer.write(line(message))

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            self._say(self._stand())

    def _stand(self) -> Report:
        return Report(
            concurrency=self._concurrency(),
            connections=len(self._listening.connections),
            answered=self._application.inferences,
            counts=counted(self._application, self._listening),
        )

    def _concurrency(self) -> float:
        """Requests under way on average since the last report.

        Those that a thread computes are there to be counted. Those that are answered at once never are: how many of
        them were ready at the same turn of the event loop, times the part of the time that the process was busy, says
        how many clients waited.
        """
        now = (time.monotonic(), time.process_time(), self._application.answered, self._listening.turns)
        seconds, cpu, answered, turns = (new - old for new, old in zip(now, self._before, strict=True))
        self._before = now
        at_once = answered / max(1, turns)
        return sum(self._listening.under_way().values()) + at_once * min(1.0, cpu / max(1e-9, seconds))

    async def _ask(self, message: AskCounts | Change) -> OtherCounts | Changed:
        future: asyncio.Future[OtherCounts | Changed] = asyncio.get_running_loop().create_future()
        self._waiting[message.id] = future
        self._say(message)
        try:
            async with asyncio.timeout(ANSWER_LIMIT):
                return await future
        finally:
            del self._waiting[message.id]

    async def _page(self) -> bytes:
        from plimsoll.runtime.server.metrics import page

        others = await self._ask(AskCounts(id=next(self._ids)))
        assert isinstance(others, OtherCounts)  # noqa: S101 - the answer to AskCounts
        return page(together([counted(self._application, self._listening), others.counts]))

    async def _changed(self, verb: str, model: str) -> None:
        # Here first: what cannot be done here need not be tried by the others.
        await self._application.change(verb, model)
        done = await self._ask(Change(id=next(self._ids), verb=verb, model=model))
        if isinstance(done, Changed) and done.problem:
            raise PlimsollError(done.problem)

    async def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while received := await self._reader.readline():
                message = from_supervisor.decode(received)
                if isinstance(message, OtherCounts | Changed):
                    waiting = self._waiting.get(message.id)
                    if waiting is not None and not waiting.done():
                        waiting.set_result(message)
                elif isinstance(message, Shed):
                    self._listening.shedding = message.connections
                else:
                    self._listening.later(self._do(message))
        # A worker without its supervisor would hold the port for ever.
        self._told.set()

    async def _do(self, change: Change) -> None:
        problem = ""
        try:
            await self._application.change(change.verb, change.model)
        except (NoModel, PlimsollError) as error:
            problem = error.on_one_line() if isinstance(error, PlimsollError) else str(error)
        self._say(Changed(id=change.id, problem=problem))
