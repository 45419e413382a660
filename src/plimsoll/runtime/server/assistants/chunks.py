"""What an assistant says in the shapes of the OpenAI API: events of a stream, or the whole. Pure.

What the API has no word for stands in the field `plimsoll`, which clients that do not know it pass over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from plimsoll.assistants.answering import Answer, Event, Retrieved, Text
from plimsoll.assistants.support import Marked
from plimsoll.llms.events import DONE
from plimsoll.runtime.server.assistants.question import EXTENSION

Fields = dict[str, Any]  # Any: JSON


class Chunks:
    """Writes one answer. `versions` names what answers."""

    def __init__(self, identifier: str, created: int, model: str, versions: Mapping[str, str]) -> None:
        self._head: Fields = {"id": identifier, "created": created, "model": model}
        self._versions = versions
        self._said = False

    def events(self, event: Event, *, with_usage: bool) -> Iterator[bytes]:
        """The events of a stream for one of ours; after the answer the last one."""
        match event:
            case Retrieved():
                yield self._chunk({"role": "assistant", "content": ""}, {"query": event.query, **_passages(event)})
            case Text():
                self._said = True
                yield self._chunk({"content": event.text})
            case Marked():
                yield self._chunk({}, {"sentence": _sentence(event)})
            case Answer():
                if not self._said:
                    yield self._chunk({"content": event.text})
                yield self._chunk({}, self._told(event), finish=_finish(event))
                if with_usage:
                    yield _event(
                        {**self._head, "object": "chat.completion.chunk", "choices": [], "usage": _usage(event)}
                    )
                yield DONE

    def whole(self, answer: Answer) -> bytes:
        """The whole answer."""
        message = {"role": "assistant", "content": answer.text}
        found = Retrieved(query=answer.query, passages=answer.passages)
        return msgspec.json.encode(
            {
                **self._head,
                "object": "chat.completion",
                "choices": [{"index": 0, "message": message, "finish_reason": _finish(answer)}],
                "usage": _usage(answer),
                EXTENSION: {"query": answer.query, **_passages(found), **self._told(answer)},
            }
        )

    def _chunk(self, delta: Fields, told: Fields | None = None, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        more = {EXTENSION: told} if told is not None else {}
        return _event({**self._head, "object": "chat.completion.chunk", "choices": [choice], **more})

    def _told(self, answer: Answer) -> Fields:
        return {
            "outcome": answer.outcome,
            "sources": answer.sources,
            "sentences": [_sentence(each) for each in answer.sentences],
            "language": answer.language,
            "finish": answer.finish,
            "stages_ms": msgspec.to_builtins(answer.stages),
            **self._versions,
        }


def _event(value: Fields) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def _passages(found: Retrieved) -> Fields:
    return {"passages": msgspec.to_builtins(found.passages)}


def _sentence(marked: Marked) -> Fields:
    support = msgspec.to_builtins(marked.support)
    return {"text": marked.text, "start": marked.start, "end": marked.end, **support}


def _finish(answer: Answer) -> str:
    return "stop" if answer.finish == "stop" else "length"


def _usage(answer: Answer) -> dict[str, int]:
    asked, said = answer.prompt_tokens or 0, answer.tokens or 0
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
