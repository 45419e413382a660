"""Requests to an index of Pinecone, each within a limit of time and size, with a key that is written nowhere."""

from __future__ import annotations

import contextlib
import json
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any

import httpx2

from plimsoll.stores.port import StoreError
from plimsoll.stores.variables import value_of

API_VERSION = "2025-10"
"""The version of the API whose documentation this follows."""
LIMIT = 15.0
"""Seconds of one request."""
MOST_BYTES = 32 << 20
"""Bytes of one answer: its own limit is 4 MB."""
WHAT = "the host of the index, such as https://manuals-abc123.svc.us-east-1.pinecone.io"

Answer = Mapping[str, Any]
"""A JSON object of theirs. Any: whoever reads a field checks it."""


class PineconeClient:
    """One index. Threads share it."""

    def __init__(self, url: str, key: str) -> None:
        """`url` and `key` are names of variables. Raises StoreError for what is no address or no key."""
        self.url_variable, self.key_variable = url, key
        address = value_of(url, WHAT).rstrip("/")
        self.shown = f"Pinecone at {_host(address, url)}"
        secret = value_of(key, "the key of the project")
        if not secret.isascii() or not secret.isprintable() or " " in secret:
            raise StoreError(f"the variable {key} has no key in it", hint="set it to the key of the project")
        headers = {"api-key": secret, "x-pinecone-api-version": API_VERSION}
        self._client = httpx2.Client(base_url=address, headers=headers, timeout=LIMIT, follow_redirects=False)

    def post(self, path: str, body: Mapping[str, object]) -> Answer:
        """The answer to a JSON body. Raises StoreError."""
        return self._ask("POST", path, json=body)

    def get(self, path: str, parameters: list[tuple[str, str]]) -> Answer:
        """The answer to a query. Raises StoreError."""
        return self._ask("GET", path, params=parameters)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, method: str, path: str, **content: Any) -> Answer:  # Any: the library's words for a body or a query
        deadline = time.monotonic() + LIMIT
        body = b""
        try:
            with self._client.stream(method, path, **content) as response:
                for piece in response.iter_bytes():
                    body += piece
                    if time.monotonic() > deadline or len(body) > MOST_BYTES:
                        raise StoreError(f"{self.shown} gives an answer without an end", hint="try again")
                status = response.status_code
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            # The type says what happened; the text may have the request in it, and that has the key.
            hint = f"see whether it can be reached from here, and correct {self.url_variable}"
            raise StoreError(f"{self.shown} does not answer: {type(error).__name__}", hint=hint) from None
        if status == 404 and path == "/vectors/delete":
            # The namespace is gone, or was never written to.
            return {}
        if status // 100 != 2:
            raise self._refusal(status, body)
        try:
            found = json.loads(body or b"{}")
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise StoreError(f"{self.shown} answers with something else than JSON", hint=f"correct {self.url_variable}")
        return found

    def _refusal(self, status: int, body: bytes) -> StoreError:
        if status in {401, 403}:
            return StoreError(f"{self.shown} refuses the key", hint=f"correct {self.key_variable}", lasting=True)
        if status == 429:
            return StoreError(f"{self.shown} takes no more requests now", hint="try again in a minute")
        said = ""
        with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
            said = str(json.loads(body)["message"])[:200]
        text = f"{self.shown} answers with {status}{': ' + said if said else ''}"
        return StoreError(text, hint=f"see whether {self.url_variable} is the host of an index")


def _host(address: str, variable: str) -> str:
    try:
        parts = urllib.parse.urlsplit(address)
        _ = parts.port
    except ValueError:
        parts = urllib.parse.urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or parts.query:
        hint = f"set it to {WHAT}"
        raise StoreError(f"the value of {variable} is no address of an index", hint=hint, lasting=True)
    return parts.hostname
