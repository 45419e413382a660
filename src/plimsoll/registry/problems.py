"""Errors of a registry, with the registry's own message where it sends one."""

from __future__ import annotations

import httpx2
import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import TargetError

TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
"""HTTP statuses after which a retry may succeed."""


@decodable
class _ApiError(Struct, frozen=True):
    code: object = ""
    message: object = ""


@decodable
class _ErrorBody(Struct, frozen=True):
    errors: list[_ApiError] | None = None


class RegistryError(TargetError):
    """A registry refused a request or could not be reached. `status` is the HTTP status, 0 without a response."""

    def __init__(self, message: str, *, status: int = 0, where: str = "", hint: str = "") -> None:
        super().__init__(message, where=where, hint=hint)
        self.status = status
        self.lasting = 400 <= status < 500 and status not in TRANSIENT


def error_summary(answer: httpx2.Response, content: bytes) -> str:
    """The status, then the codes and messages in the response's `errors` (OCI Distribution Specification)."""
    text = f"{answer.status_code} {answer.reason_phrase}".strip()
    try:
        errors = msgspec.json.decode(content or b"{}", type=_ErrorBody).errors or []
        words = [" ".join(filter(None, [str(each.code), str(each.message)])) for each in errors]
    except UNREADABLE:
        words = []
    return f"{text} ({'; '.join(words)[:300]})" if any(words) else text
