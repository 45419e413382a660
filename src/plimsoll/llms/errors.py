"""Errors in the shape of the OpenAI API. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE

INVALID, UNAVAILABLE, SERVER, RATE = "invalid_request_error", "service_unavailable", "server_error", "rate_limit_error"
TYPES: Mapping[int, str] = {401: "authentication_error", 403: "permission_error", 429: RATE, 503: UNAVAILABLE}
MOST_WORDS = 1000


class BadRequest(Exception):
    """A request that is not answered. `param` is the field that is wrong, `code` a word for programs."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.param = param
        self.code = code
        self.status = status


class ErrorBody(Struct, frozen=True):
    """What stands in `error`."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


def type_of(status: int) -> str:
    """The `type` of an error."""
    return TYPES.get(status, INVALID if status < 500 else SERVER)


def error_json(status: int, message: str, param: str | None = None, code: str | None = None) -> bytes:
    """The body of an error."""
    body = ErrorBody(message=message, type=type_of(status), param=param, code=code)
    return msgspec.json.encode({"error": body})


def error_event(status: int, message: str) -> bytes:
    """An error in the middle of a stream, which clients raise."""
    return b"data: " + error_json(status, message) + b"\n\n"


_CONTEXT = "exceed_context_size_error"
"""llama.cpp's type for a question that is longer than its context."""


def of_upstream(status: int, body: bytes, who: str) -> BadRequest:
    """What an engine or an endpoint refuses, as a refusal of ours; what it says of itself is left out."""
    told: Any  # the error of another program, of which only texts are used
    try:
        told = msgspec.json.decode(body)
    except UNREADABLE:
        told = None
    error = told.get("error") if isinstance(told, dict) else None
    error = error if isinstance(error, dict) else {}
    message = error.get("message")
    said = message[:MOST_WORDS] if isinstance(message, str) else f"it answers with status {status}"
    if error.get("type") == _CONTEXT:
        needs, has = error.get("n_prompt_tokens"), error.get("n_ctx")
        text = f"the question has {needs} tokens, and the context of this model is {has}"
        return BadRequest(text, "messages", "context_length_exceeded")
    if status in (401, 403):
        # It is our key that is wrong, which is nothing that the client can mend.
        return BadRequest(f"{who} refuses the key of this server", code="upstream_refuses_key", status=502)
    if "is not supported" in said and status == 500:
        return BadRequest(said.partition(" - hint")[0], "messages", "unsupported")
    if status == 404 or status >= 500:
        return BadRequest(f"{who} failed: {said}", code="upstream_failed", status=502)
    param, code = error.get("param"), error.get("code")
    return BadRequest(
        said,
        param if isinstance(param, str) else None,
        code if isinstance(code, str) else None,
        status,
    )
