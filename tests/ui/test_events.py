"""What pages are told that connect after something has changed."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from plimsoll.ui import events
from plimsoll.ui.events import WRITTEN, Event, Hub


def heard(hub: Hub) -> list[str]:
    """The kinds of the events that a page gets which connects now."""

    async def listen() -> list[str]:
        stream = hub.open(frozenset({("app", "7")}))
        assert stream is not None
        hub.tell(Event(kind="end"))
        kinds: list[str] = []
        async for line in stream.lines():
            if line.startswith(b"data: "):
                kinds.append(msgspec.json.decode(line.removeprefix(b"data: "))["kind"])
            if "end" in kinds:
                break
        return kinds

    return asyncio.run(asyncio.wait_for(listen(), 30))


def test_a_page_hears_what_changed_between_its_rows_and_its_stream() -> None:
    hub = Hub()
    hub.tell(Event(kind="run", place="app", subject="7", data="older"))
    hub.tell(Event(kind="models", place="app"))
    hub.tell(Event(kind="run", place="app", subject="7", data="newer"))
    hub.tell(Event(kind=WRITTEN, place="app", subject="7"))
    assert heard(hub) == ["models", "run", "end"]


def test_a_page_does_not_hear_what_its_rows_hold_already(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub()
    hub.tell(Event(kind="models", place="app"))
    monkeypatch.setattr(events, "RECENT", 0.0)
    assert heard(hub) == ["end"]


def test_what_is_kept_for_later_pages_is_bounded() -> None:
    hub = Hub()
    for number in range(3 * events.MOST_WAITING):
        hub.tell(Event(kind="run", place="app", subject=str(number)))
    assert heard(hub) == ["run"] * (events.MOST_WAITING // 2) + ["end"]
