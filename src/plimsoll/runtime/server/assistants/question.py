"""A chat request as a question to an assistant, with what was said before. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from plimsoll.assistants.prompt import Turn
from plimsoll.decoding import decodable
from plimsoll.llms.errors import BadRequest
from plimsoll.llms.requests import Asked

EXTENSION = "plimsoll"
"""The field of requests and answers that the API does not have."""
Label = Annotated[str, Meta(min_length=1, max_length=256)]
_CHANGES: Mapping[str, str] = MappingProxyType(
    {
        "tools": "it calls no tools",
        "tool_choice": "it calls no tools",
        "response_format": "its answers are sentences",
        "logprobs": "its answers have none",
        "top_logprobs": "its answers have none",
        "logit_bias": "its words are those of the passages",
        "stop": "it ends its answers by itself",
    }
)
_KNOWN = frozenset(
    {
        "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", EXTENSION,
        # Answers have no chance in them, whatever a client sends by habit.
        "temperature", "top_p", "seed", "presence_penalty", "frequency_penalty", "parallel_tool_calls",
        "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key",
    }
)  # fmt: skip


@decodable
class Extension(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a request may say besides: fewer passages, and the labels that its caller answers for."""

    top: Annotated[int, Meta(ge=1, le=50)] | None = None
    access: Annotated[tuple[Label, ...], Meta(max_length=256)] | None = None


class Question(Struct, frozen=True, kw_only=True):
    """The last message, and the turns before it. `asked` is the request."""

    text: str
    history: tuple[Turn, ...]
    extension: Extension
    asked: Asked


def read_question(asked: Asked) -> Question:
    """Raises BadRequest with the field that is wrong, or that an assistant cannot follow."""
    fields = {name: value for name, value in asked.fields.items() if value is not None}
    for name, value in fields.items():
        if name in _CHANGES and value not in ([], False, "none", {}):
            raise BadRequest(f"`{name}` is not for an assistant: {_CHANGES[name]}", name, "unsupported")
        if name not in _KNOWN and name not in _CHANGES:
            raise BadRequest(f"`{name[:80]}` is no field of this request", name[:80], "unknown_field")
    try:
        extension = msgspec.convert(fields.get(EXTENSION, {}), Extension)
    except msgspec.ValidationError as error:
        raise BadRequest(f"`{EXTENSION}`: {error}", EXTENSION) from error
    said = [(each["role"], _text(each, number)) for number, each in enumerate(fields["messages"])]
    if said[-1][0] != "user":
        raise BadRequest("the last message is the question, of the role `user`", "messages")
    return Question(text=said[-1][1], history=_turns(said[:-1]), extension=extension, asked=asked)


def _turns(said: list[tuple[str, str]]) -> tuple[Turn, ...]:
    """Questions with their answers. The rules are those of the file: system messages are passed over."""
    turns: list[Turn] = []
    question = ""
    for role, text in said:
        if role == "user":
            question = f"{question}\n{text}".strip()
        elif role == "assistant" and question:
            turns.append(Turn(question=question, answer=text))
            question = ""
    return tuple(turns)


def _text(message: Mapping[str, Any], number: int) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    if message["role"] == "tool" or content is None:
        return ""
    if any(part["type"] != "text" for part in content):
        place = f"messages[{number}].content"
        raise BadRequest(f"`{place}` has a part that is no text, and an assistant reads text alone", place)
    return "\n".join(part["text"] for part in content)
