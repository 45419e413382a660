"""The worker's side of the channel to its supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import time

from plimsoll.errors import PlimsollError
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
from plimsoll.runtime.server.counts import Counts, total
from plimsoll.runtime.server.data_plane import DataPlane, Verb
from plimsoll.runtime.server.listening import Listening
from plimsoll.runtime.server.refusals import Refusal

PERIOD = 0.2
"""Seconds between two reports."""
ANSWER_LIMIT = 120.0
"""Seconds for the supervisor's answer: a large model may have to be loaded by every worker."""


def counts_of_process(plane: DataPlane, listening: Listening) -> Counts:
    """All counts of this process."""
    lost = plane.observers.lost
    under_way = listening.under_way()
    waiting: dict[str, int] = {}
    for served in plane.catalog.all():
        if served.record.llm is not None or served.record.assistant is not None:
            under_way[served.name] = under_way.get(served.name, 0) + served.under_way
        if served.record.llm is not None:
            waiting[served.name] = waiting.get(served.name, 0) + served.waiting
    return Counts(counts=plane.catalog.counts(), under_way=under_way, lost=lost, waiting=waiting)


class Reporting:
    """Reports load and counts, asks for the counts of the other workers, passes changes of models on to them."""

    def __init__(self, plane: DataPlane, listening: Listening, ending: asyncio.Event) -> None:
        self._plane = plane
        self._listening = listening
        self._ending = ending
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._reports: asyncio.Task[None]
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[OtherCounts | Changed]] = {}
        self._last_measured = (time.monotonic(), time.process_time(), listening.answered, listening.turns)

    @classmethod
    async def start(
        cls, channel: socket.socket, plane: DataPlane, listening: Listening, ending: asyncio.Event
    ) -> Reporting:
        """Start to report; `ending` is set when the supervisor has ended."""
        self = cls(plane, listening, ending)
        self._reader, self._writer = await asyncio.open_connection(sock=channel, limit=64 << 20)
        plane.counts_of_all = self._counts_of_all
        plane.change_in_all = self._change_in_all
        listening.run_task(self._listen())
        self._reports = asyncio.get_running_loop().create_task(self._report())
        return self

    async def finish(self) -> None:
        """Send the last report and close the channel."""
        self._reports.cancel()
        self._send(self._measure())
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self._writer.drain(), 1.0)
        self._writer.close()

    def _send(self, message: FromWorker) -> None:
        # A supervisor that has ended reads no reports.
        if not self._writer.is_closing():
            self._writer.write(line(message))

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            self._send(self._measure())

    def _measure(self) -> Report:
        return Report(
            concurrency=self._concurrency(),
            connections=len(self._listening.connections),
            answered=self._plane.inferences,
            counts=counts_of_process(self._plane, self._listening),
        )

    def _concurrency(self) -> float:
        """Requests under way, on average since the last report.

        Requests that a thread computes are counted. Requests that are answered at once are never seen under way: their
        number in one turn of the event loop, times the fraction of time that the process was busy, estimates how many
        clients waited.
        """
        now = (time.monotonic(), time.process_time(), self._listening.answered, self._listening.turns)
        seconds, cpu, answered, turns = (new - old for new, old in zip(now, self._last_measured, strict=True))
        self._last_measured = now
        at_once = answered / max(1, turns)
        under_way = sum(counts_of_process(self._plane, self._listening).under_way.values())
        return under_way + at_once * min(1.0, cpu / max(1e-9, seconds))

    async def _ask(self, message: AskCounts | Change) -> OtherCounts | Changed:
        future: asyncio.Future[OtherCounts | Changed] = asyncio.get_running_loop().create_future()
        self._waiting[message.id] = future
        self._send(message)
        try:
            async with asyncio.timeout(ANSWER_LIMIT):
                return await future
        finally:
            del self._waiting[message.id]

    async def _counts_of_all(self) -> Counts:
        others = await self._ask(AskCounts(id=next(self._ids)))
        assert isinstance(others, OtherCounts)  # noqa: S101 - the answer to AskCounts
        return total([counts_of_process(self._plane, self._listening), others.counts])

    async def _change_in_all(self, verb: Verb, model: str) -> None:
        # In this process first: a change that fails here need not be tried by the others.
        await self._plane.change(verb, model)
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
                    self._listening.run_task(self._do(message))
        # A worker without a supervisor would keep the port for ever.
        self._ending.set()

    async def _do(self, change: Change) -> None:
        problem = ""
        try:
            await self._plane.change(change.verb, change.model)
        except (Refusal, PlimsollError) as error:
            problem = error.on_one_line() if isinstance(error, PlimsollError) else str(error)
        self._send(Changed(id=change.id, problem=problem))
