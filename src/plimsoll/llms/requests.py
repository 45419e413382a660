"""Requests of the OpenAI API: read, held against the limits, and written for the upstream. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE
from plimsoll.llms.errors import BadRequest
from plimsoll.llms.settings import LlmSettings

Kind = Literal["chat", "completion"]
PATHS: Mapping[Kind, str] = MappingProxyType({"chat": "/v1/chat/completions", "completion": "/v1/completions"})
OPERATIONS: Mapping[Kind, str] = MappingProxyType({"chat": "chat", "completion": "text_completion"})
"""OpenTelemetry's words for them."""
ROLES = ("system", "developer", "user", "assistant", "tool")
MOST_MESSAGES = 4096
_COMMON = frozenset(
    {
        "model", "stream", "stream_options", "max_tokens", "temperature", "top_p", "n", "stop", "seed",
        "presence_penalty", "frequency_penalty", "logit_bias", "logprobs",
        # Of llama.cpp, vLLM and others, for which clients have `extra_body`.
        "top_k", "min_p", "repeat_penalty",
    }
)  # fmt: skip
_TAKEN: Mapping[Kind, frozenset[str]] = MappingProxyType(
    {
        "chat": _COMMON
        | {
            "messages", "max_completion_tokens", "top_logprobs", "response_format", "tools", "tool_choice",
            "parallel_tool_calls", "reasoning_effort", "chat_template_kwargs",
        },
        "completion": _COMMON | {"prompt", "echo", "suffix", "best_of"},
    }
)  # fmt: skip
_PASSED_OVER = frozenset({"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"})
"""Fields of the API that say something of the caller: an engine has no use for them."""
_ALONE = frozenset({"n", "best_of"})
"""Numbers of answers, of which there is one."""


class Asked(Struct, frozen=True, kw_only=True):
    """A request that has been read. `fields` are those of its JSON; `tokens` is what it asks for at most, if it says.

    `with_usage` says that a streamed answer is to end with its usage.
    """

    kind: Kind
    model: str
    stream: bool
    with_usage: bool
    tokens: int | None
    fields: Mapping[str, Any]  # Any: what the API defines and only the upstream reads

    @property
    def question(self) -> object:
        """The messages, or the prompt."""
        return self.fields.get("messages" if self.kind == "chat" else "prompt")


def read_request(kind: Kind, body: bytes | memoryview) -> Asked:
    """The request in a body. Raises BadRequest with the field that is wrong."""
    try:
        fields = msgspec.json.decode(body)
    except UNREADABLE as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise BadRequest("the body is not a JSON object")
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequest("`model` is missing: it is the name of a language model, see /v1/models", "model")
    stream = _flag(fields, "stream")
    options = fields.get("stream_options")
    if options is not None and not (stream and isinstance(options, dict)):
        raise BadRequest("`stream_options` is an object, for `stream: true`", "stream_options")
    if kind == "chat":
        _check_messages(fields.get("messages"))
    else:
        _check_prompt(fields.get("prompt"))
    for word in _ALONE:
        if fields.get(word, 1) not in (1, None):
            raise BadRequest(f"`{word}` is 1 here: a request gets one answer; ask several times for more", word)
    _check_limits_of_numbers(fields)
    _check_format(fields.get("response_format"))
    return Asked(
        kind=kind,
        model=model,
        stream=stream,
        with_usage=bool(options and options.get("include_usage") is True),
        tokens=_tokens(fields),
        fields=fields,
    )


def written(asked: Asked, settings: LlmSettings, adapters: list[str], *, in_pieces: bool = False) -> bytes:
    """The body for the upstream, within the limits. `adapters` are the names of those that the engine has loaded.

    `in_pieces` asks for a stream, whatever the client wants.

    Raises BadRequest for more tokens than one answer may have, and for fields that an engine of ours does not take: it
    has fields of its own that would go round the limits.
    """
    if asked.tokens is not None and asked.tokens > settings.tokens:
        text = f"an answer of this model has {settings.tokens} tokens at most, and the request asks for {asked.tokens}"
        raise BadRequest(text, "max_tokens", "too_many_tokens")
    fields = dict(asked.fields)
    if settings.endpoint is not None:
        # An engine beside us knows adapters by their names.
        fields["model"] = asked.model if asked.model in settings.adapters else settings.endpoint.model
        word = "max_completion_tokens" if "max_completion_tokens" in fields else "max_tokens"
        fields.setdefault(word, settings.tokens)
    else:
        unknown = sorted(fields.keys() - _TAKEN[asked.kind] - _PASSED_OVER)
        if unknown:
            raise BadRequest(f"`{unknown[0][:80]}` is no field of this request", unknown[0][:80], "unknown_field")
        fields = {name: value for name, value in fields.items() if name not in _PASSED_OVER and value is not None}
        fields.pop("max_completion_tokens", None)
        fields["max_tokens"] = asked.tokens or settings.tokens
        if adapters:
            fields["lora"] = [
                {"id": number, "scale": 1.0 if name in ("", asked.model) else 0.0}
                for number, name in enumerate(adapters)
            ]
    if in_pieces:
        fields["stream"] = True
    if asked.stream or in_pieces:
        # The tokens are counted either way; the event goes to those alone who have asked for it.
        fields["stream_options"] = {"include_usage": True}
    return msgspec.json.encode(fields)


def _flag(fields: Mapping[str, Any], word: str) -> bool:
    value = fields.get(word)
    if value is not None and not isinstance(value, bool):
        raise BadRequest(f"`{word}` is true or false", word)
    return bool(value)


def _tokens(fields: Mapping[str, Any]) -> int | None:
    for word in ("max_completion_tokens", "max_tokens"):
        value = fields.get(word)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise BadRequest(f"`{word}` is a whole number, 1 or more", word)
        return value
    return None


_NUMBERS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"temperature": (0, 2), "top_p": (0, 1), "presence_penalty": (-2, 2), "frequency_penalty": (-2, 2)}
)
"""Source: the API's reference."""


def _check_limits_of_numbers(fields: Mapping[str, Any]) -> None:
    for word, (least, most) in _NUMBERS.items():
        value = fields.get(word)
        if value is None:
            continue
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
            raise BadRequest(f"`{word}` is a number from {least} to {most}", word)
    seed = fields.get("seed")
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or abs(seed) >= 1 << 63):
        raise BadRequest("`seed` is a whole number of 64 bits", "seed")
    stop = fields.get("stop")
    texts = [stop] if isinstance(stop, str) else stop
    are_texts = isinstance(texts, list) and len(texts) <= 4 and all(isinstance(each, str) and each for each in texts)
    if texts is not None and not are_texts:
        raise BadRequest("`stop` is a text, or a list of 1 to 4 texts", "stop")


def _check_format(given: object) -> None:
    if given is None:
        return
    kinds = ("text", "json_object", "json_schema")
    if not isinstance(given, dict) or given.get("type") not in kinds:
        raise BadRequest(f"`response_format` has a `type`: {', '.join(kinds)}", "response_format")
    if given["type"] == "json_schema":
        named = given.get("json_schema")
        if not isinstance(named, dict) or not isinstance(named.get("schema"), dict):
            raise BadRequest("`response_format` has no `json_schema` with a `schema`", "response_format")


def _check_messages(messages: object) -> None:
    if not isinstance(messages, list) or not messages:
        raise BadRequest("`messages` is a list of at least one message", "messages")
    if len(messages) > MOST_MESSAGES:
        raise BadRequest(f"there are {len(messages)} messages, {MOST_MESSAGES} are read", "messages")
    for number, message in enumerate(messages):
        place = f"messages[{number}]"
        if not isinstance(message, dict):
            raise BadRequest(f"`{place}` is no object with a `role` and a `content`", place)
        role = message.get("role")
        if role not in ROLES:
            said = f"'{role[:40]}' is none" if isinstance(role, str) else "there is none"
            raise BadRequest(f"the role in `{place}` is one of {', '.join(ROLES)}: {said}", f"{place}.role")
        _check_content(message, role, place)


def _check_content(message: Mapping[str, Any], role: str, place: str) -> None:
    content = message.get("content")
    if isinstance(content, str) or (content is None and role == "assistant" and message.get("tool_calls")):
        return
    if not isinstance(content, list) or not content:
        raise BadRequest(f"`{place}` has no `content`: a text, or a list of parts", f"{place}.content")
    for part in content:
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise BadRequest(f"a part in `{place}.content` is no object with a `type`", f"{place}.content")
        if part["type"] == "text" and not isinstance(part.get("text"), str):
            raise BadRequest(f"a part in `{place}.content` has no `text`", f"{place}.content")


def _check_prompt(prompt: object) -> None:
    if isinstance(prompt, str) and prompt:
        return
    if isinstance(prompt, list) and prompt:
        if all(isinstance(each, int) and not isinstance(each, bool) for each in prompt):
            return
        if len(prompt) == 1 and isinstance(prompt[0], str) and prompt[0]:
            return
        raise BadRequest("`prompt` has one text, or the numbers of tokens; ask several times for more", "prompt")
    raise BadRequest("`prompt` is a text that is not empty, or a list of tokens", "prompt")
