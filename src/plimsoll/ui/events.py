"""What the server tells open pages: server-sent events, the newest of each kind, however slow a page reads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator

from msgspec import Struct

from plimsoll.encoding import json_for_people

HEARTBEAT = 15.0
"""Seconds after which a quiet stream gets a comment, so that a page that is gone is noticed."""
MOST_WAITING = 512
"""Events that wait for one page; a page that reads slower is told to load everything anew."""
MOST_STREAMS = 64
RECENT = 10.0
"""Seconds for which an event is told to pages that connect later: a page asks for its rows and for its stream at once,
and what changes between the two answers would reach it by neither."""

WRITTEN = "written"
"""The kind of events that tell how large the logs and curves of a run are."""

Key = tuple[str, str, str]


class Event(Struct, frozen=True, kw_only=True):
    """Something has changed: `kind` says what, of what subject in which place. `data` is what a page shows at once."""

    kind: str
    place: str = ""
    subject: str = ""
    data: object = None


class Stream:
    """One open page. An event replaces one of the same kind, place and subject that has not been sent yet."""

    def __init__(self, loop: asyncio.AbstractEventLoop, watched: frozenset[tuple[str, str]]) -> None:
        self.watched = watched
        self._loop = loop
        self._waiting: dict[Key, Event] = {}
        self._ready = asyncio.Event()
        self._closed = False

    def watches(self, event: Event) -> bool:
        """Whether the page shows the run that an event is of."""
        return (event.place, event.subject) in self.watched

    def give(self, event: Event) -> None:
        """Send an event; safe from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._take, event)
        except RuntimeError:
            # The server's loop has ended: nobody reads any more.
            self._closed = True

    def close(self) -> None:
        """End the stream; safe from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._end)
        except RuntimeError:
            self._closed = True

    def _take(self, event: Event) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.clear()
            event = Event(kind="anew")
        self._waiting.pop((event.kind, event.place, event.subject), None)
        self._waiting[event.kind, event.place, event.subject] = event
        self._ready.set()

    def _end(self) -> None:
        self._closed = True
        self._ready.set()

    async def lines(self) -> AsyncIterator[bytes]:
        """The stream as text/event-stream."""
        yield b"retry: 1000\n\n"
        while not self._closed:
            try:
                await asyncio.wait_for(self._ready.wait(), HEARTBEAT)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            self._ready.clear()
            waiting, self._waiting = list(self._waiting.values()), {}
            for event in waiting:
                yield b"data: " + json_for_people(event) + b"\n\n"


class Hub:
    """All open pages."""

    def __init__(self) -> None:
        self._streams: set[Stream] = set()
        self._recent: dict[Key, tuple[float, Event]] = {}
        self._lock = threading.Lock()

    def open(self, watched: frozenset[tuple[str, str]]) -> Stream | None:
        """A stream for a page, which watches runs by place and id; `None` when there are too many."""
        with self._lock:
            if len(self._streams) >= MOST_STREAMS:
                return None
            stream = Stream(asyncio.get_running_loop(), watched)
            self._streams.add(stream)
            missed = self._since(time.monotonic() - RECENT)
        for event in missed:
            stream.give(event)
        return stream

    def _since(self, moment: float) -> list[Event]:
        self._recent = {key: told for key, told in self._recent.items() if told[0] >= moment}
        return [event for _, event in self._recent.values()]

    def leave(self, stream: Stream) -> None:
        """Forget a page that is gone."""
        with self._lock:
            self._streams.discard(stream)

    def tell(self, event: Event) -> None:
        """Send an event to every page; what is written to a run, to those that show it."""
        with self._lock:
            streams = [each for each in self._streams if event.kind != WRITTEN or each.watches(event)]
            if event.kind != WRITTEN:
                key = (event.kind, event.place, event.subject)
                self._recent.pop(key, None)
                self._recent[key] = (time.monotonic(), event)
                if len(self._recent) > MOST_WAITING // 2:
                    self._recent.pop(next(iter(self._recent)))
        for stream in streams:
            stream.give(event)

    def watched(self) -> set[tuple[str, str]]:
        """The runs that some page shows, by place and id."""
        with self._lock:
            return {each for stream in self._streams for each in stream.watched}

    @property
    def is_empty(self) -> bool:
        """Whether no page is open."""
        return not self._streams

    def close(self) -> None:
        """End all streams."""
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            stream.close()
