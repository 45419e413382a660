"""JSON over HTTP to a store, each request within a limit of time and size, with a key that is written nowhere."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import httpx2

from plimsoll.stores.port import StoreError

LIMIT = 15.0
"""Seconds of one request."""
MOST_BYTES = 32 << 20
"""Bytes of one answer."""

Answer = Mapping[str, Any]
"""A JSON object of theirs. Any: whoever reads a field checks it."""


class Words(NamedTuple):
    """What a store is called in sentences, and where its address and its key come from."""

    shown: str
    url: str
    """The variable with the address."""
    key: str
    """What to correct when the key is refused."""
    other: str
    """What to do about an answer that is none of those that are known."""


class Requests:
    """One store. Threads share it."""

    def __init__(
        self, address: str, headers: Mapping[str, str], words: Words, said: Callable[[Answer], object]
    ) -> None:
        """`said` finds the message in an answer of a refusal; it may raise KeyError, TypeError or IndexError."""
        self._words, self._said = words, said
        self._client = httpx2.Client(base_url=address, headers=headers, timeout=LIMIT, follow_redirects=False)

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        parameters: tuple[tuple[str, str], ...] | None = None,
        absent: bool = False,
    ) -> Answer:
        """The answer. With `absent`, what is not there is an empty one. Raises StoreError."""
        shown = self._words.shown
        status, answer = self._sent(method, path, body, parameters)
        if status == 404 and absent:
            return {}
        if status // 100 != 2:
            raise self._refusal(status, answer)
        found = _object(answer or b"{}")
        if found is None:
            raise StoreError(f"{shown} answers with something else than JSON", hint=f"correct {self._words.url}")
        return found

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _sent(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        parameters: tuple[tuple[str, str], ...] | None,
    ) -> tuple[int, bytes]:
        """Status and body of the answer."""
        shown = self._words.shown
        deadline = time.monotonic() + LIMIT
        answer = b""
        try:
            with self._client.stream(method, path, json=body, params=parameters) as response:
                for piece in response.iter_bytes():
                    answer += piece
                    if time.monotonic() > deadline or len(answer) > MOST_BYTES:
                        raise StoreError(f"{shown} gives an answer without an end", hint="try again")
                return response.status_code, answer
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            # The type says what happened; the text may have the request in it, and that has the key.
            hint = f"see whether it can be reached from here, and correct {self._words.url}"
            raise StoreError(f"{shown} does not answer: {type(error).__name__}", hint=hint) from None

    def _refusal(self, status: int, answer: bytes) -> StoreError:
        shown = self._words.shown
        if status in {401, 403}:
            return StoreError(f"{shown} refuses the key", hint=f"correct {self._words.key}", lasting=True)
        if status == 429:
            return StoreError(f"{shown} takes no more requests now", hint="try again in a minute")
        try:
            said = str(self._said(_object(answer) or {}))[:200]
        except (KeyError, TypeError, IndexError):
            said = ""
        text = f"{shown} answers with {status}{': ' + said if said else ''}"
        return StoreError(text, hint=self._words.other)


def require_key(secret: str, variable: str, what: str) -> str:
    """The key, when it can be sent. Raises StoreError; `what` says what the variable is to be set to."""
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise StoreError(f"the variable {variable} has no key in it", hint=f"set it to {what}")
    return secret


def _object(answer: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
