"""One whole answer from the events of a streamed one. Pure.

llama.cpp computes a whole answer to its end also when nobody waits for it any more; a streamed one ends with its
client. What is asked of it is therefore always a stream, and a client that wants the whole gets its events joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.llms.events import END

_OBJECTS: Mapping[str, str] = MappingProxyType({"chat.completion.chunk": "chat.completion"})
"""What a whole answer is called; that of a prompt has the same name in pieces."""
_PIECES = frozenset({"content", "reasoning_content", "refusal", "text", "arguments"})
"""Texts of which each event has a part; any other is said whole."""


class NotJoined(Exception):
    """An event is no part of an answer, or the answer has no end."""


class ErrorInStream(Exception):
    """The upstream has broken its answer off: `status` of HTTP, and the body of such an error."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(body.decode(errors="replace"))
        self.status = status
        self.body = body


class Joined:
    """Takes events; `answer` is the whole."""

    def __init__(self) -> None:
        self._answer: dict[str, Any] = {}  # Any: what the API defines and only clients read
        self._choices: dict[int, dict[str, Any]] = {}

    def take(self, events: bytes) -> None:
        """Whole events. Raises NotJoined, ErrorInStream."""
        for event in events.split(END):
            data = event.removeprefix(b"data:").strip()
            if data and data != b"[DONE]" and event.startswith(b"data:"):
                self._event(data)

    def answer(self) -> bytes:
        """The whole answer. Raises NotJoined when there was none, or no choice of it has ended."""
        choices = [self._choices[number] for number in sorted(self._choices)]
        if not choices or any(each.get("finish_reason") is None for each in choices):
            raise NotJoined("its answer has no end")
        return msgspec.json.encode({**self._answer, "choices": [_whole(each) for each in choices]})

    def _event(self, data: bytes) -> None:
        try:
            event = msgspec.json.decode(data)
        except UNREADABLE as error:
            raise NotJoined("an event of its answer is not JSON") from error
        if not isinstance(event, dict):
            raise NotJoined("an event of its answer is no object")
        if event.get("error") is not None:
            told = event["error"] if isinstance(event["error"], dict) else {"message": str(event["error"])}
            code = told.get("code")
            status = code if isinstance(code, int) and 400 <= code < 600 else 502
            raise ErrorInStream(status, msgspec.json.encode({"error": told}))
        choices = event.pop("choices", ())
        self._answer.update({name: value for name, value in event.items() if value is not None})
        self._answer["object"] = _OBJECTS.get(self._answer.get("object", ""), self._answer.get("object"))
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict) or not isinstance(number := choice.get("index", 0), int):
                raise NotJoined("a choice of its answer is no object")
            _add(self._choices.setdefault(number, {"index": number}), choice)


def _add(whole: dict[str, Any], piece: Mapping[str, Any]) -> None:
    """Put a piece of an object to what is there of it."""
    for name, value in piece.items():
        known = whole.get(name)
        if value is None:
            whole.setdefault(name, None)
        elif isinstance(value, str) and isinstance(known, str) and name in _PIECES:
            whole[name] = known + value
        elif isinstance(value, dict):
            if not isinstance(known, dict):
                known = whole[name] = {}
            _add(known, value)
        elif isinstance(value, list):
            whole[name] = _listed(known if isinstance(known, list) else [], value)
        else:
            whole[name] = value


def _listed(known: list[Any], pieces: Iterable[Any]) -> list[Any]:
    """More of a list: calls of tools say by their `index` which of them goes on, all else is appended."""
    for piece in pieces:
        if isinstance(piece, dict) and isinstance(number := piece.get("index"), int):
            found = next((each for each in known if isinstance(each, dict) and each.get("index") == number), None)
            if found is None:
                known.append(found := {})
            _add(found, piece)
        else:
            known.append(piece)
    return known


def _whole(choice: dict[str, Any]) -> dict[str, Any]:
    """A choice as it stands in a whole answer: `message` is what the `delta`s say together."""
    if "delta" not in choice:
        return choice
    message = {"role": "assistant", "content": None, **choice.pop("delta")}
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        # Only pieces are numbered.
        message["tool_calls"] = [
            {name: value for name, value in each.items() if name != "index"} if isinstance(each, dict) else each
            for each in calls
        ]
    elif message["content"] is None:
        message["content"] = ""
    return {**choice, "message": message}
