"""Requests to an index of Pinecone."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.stores.addresses import read_address
from plimsoll.stores.requests import Answer, Requests, Words, require_key
from plimsoll.stores.variables import value_of

API_VERSION = "2025-10"
"""The version of the API whose documentation this follows."""
WHAT = "the host of the index, such as https://manuals-abc123.svc.us-east-1.pinecone.io"
KEY = "the key of the project"


class PineconeClient:
    """One index. Threads share it."""

    def __init__(self, url: str, key: str) -> None:
        """`url` and `key` are names of variables. Raises StoreError for what is no address or no key."""
        address = value_of(url, WHAT).rstrip("/")
        self.shown = f"Pinecone at {read_address(address, url, 'an index', f'set it to {WHAT}').host}"
        secret = require_key(value_of(key, KEY), key, KEY)
        headers = {"api-key": secret, "x-pinecone-api-version": API_VERSION}
        words = Words(self.shown, url, key, f"see whether {url} is the host of an index")
        self._requests = Requests(address, headers, words, lambda answer: answer["message"])

    def post(self, path: str, body: Mapping[str, object], *, absent: bool = False) -> Answer:
        """The answer to a JSON body. Raises StoreError."""
        return self._requests.ask("POST", path, body=body, absent=absent)

    def get(self, path: str, parameters: list[tuple[str, str]]) -> Answer:
        """The answer to a query. Raises StoreError."""
        return self._requests.ask("GET", path, parameters=tuple(parameters))

    def close(self) -> None:
        """Close the connections."""
        self._requests.close()
