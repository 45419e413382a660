"""Server-sent events of a streamed answer: handed on as they are, but for what the client has not asked for. Pure."""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable

END = b"\n\n"
DONE = b"data: [DONE]\n\n"
MOST_HELD = 1 << 20
"""Bytes of one event."""
_USAGE = b'"usage"'
_TOKENS = re.compile(rb'"(?:content|text|reasoning_content)": ?"(?!")|"tool_calls": ?\[')
"""What an event with a token has; some write a space after the colon."""


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens of a question, those of it that were known already, and those of its answer."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


class _Details(Struct, kw_only=True):
    cached_tokens: int | None = None


class _Usage(Struct, kw_only=True):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


@decodable
class _Carrier(Struct, kw_only=True):
    usage: _Usage | None = None
    choices: list[msgspec.Raw] = []


def usage_in(answer: bytes) -> tuple[Usage | None, bool]:
    """The usage that an answer or an event tells, and whether it tells nothing else."""
    try:
        found = msgspec.json.decode(answer, type=_Carrier)
    except UNREADABLE:
        return None, False
    told = found.usage
    if told is None:
        return None, False
    details = told.prompt_tokens_details
    usage = Usage(
        prompt_tokens=told.prompt_tokens or 0,
        completion_tokens=told.completion_tokens or 0,
        cached_tokens=(details.cached_tokens or 0) if details else 0,
    )
    return usage, not found.choices


class _Text(Struct, kw_only=True):
    content: str | None = None


@decodable
class _Said(Struct, kw_only=True):
    class Choice(Struct, kw_only=True):
        """One of the choices of an answer or an event."""

        text: str | None = None
        message: _Text | None = None
        delta: _Text | None = None

    choices: list[Choice] = []


def text_in(answer: bytes) -> str:
    """What an answer or an event says, without its calls of tools."""
    try:
        choices = msgspec.json.decode(answer, type=_Said).choices
    except UNREADABLE:
        return ""
    parts = [(each.text, each.message and each.message.content, each.delta and each.delta.content) for each in choices]
    return "".join(text for part in parts for text in part if text)


def text_of_stream(stream: bytes) -> str:
    """What all events say together."""
    return "".join(text_in(event.removeprefix(b"data:").strip()) for event in stream.split(END))


class TooLong(Exception):
    """The upstream sends an event without an end."""


class Events:
    """Takes bytes of a stream and gives whole events. `usage` is what the stream has told, `tokens` counts events with
    content, `done` says that the last one was there."""

    def __init__(self, *, with_usage: bool) -> None:
        """`with_usage` says whether the client has asked for the event with the usage."""
        self._with_usage = with_usage
        self._held = b""
        self.usage: Usage | None = None
        self.tokens = 0
        self.done = False

    def take(self, data: bytes) -> bytes:
        """The events that are complete now. Raises TooLong."""
        if b"\r" in data:
            # Lines may end so too, and no JSON has one in a text.
            data = data.replace(b"\r", b"")
        held = self._held + data if self._held else data
        end = held.rfind(END)
        if end < 0:
            if len(held) > MOST_HELD:
                raise TooLong
            self._held = held
            return b""
        events, self._held = held[: end + 2], held[end + 2 :]
        if _USAGE not in events and events.count(END) == 1:
            # The usual case: one token, which nobody but the client need look into.
            self._count(events)
            return events
        whole = (event + END for event in events.split(END) if event)
        return b"".join([event for event in whole if self._is_for_client(event)])

    def _count(self, event: bytes) -> None:
        if _TOKENS.search(event):
            self.tokens += 1
        if event == DONE:
            self.done = True

    def _is_for_client(self, event: bytes) -> bool:
        self._count(event)
        if _USAGE not in event:
            return True
        usage, alone = usage_in(event.removeprefix(b"data:").strip())
        if usage is None:
            return True
        self.usage = usage
        return self._with_usage or not alone
