"""A server of Qdrant, and what it says in sentences with what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from plimsoll.indexes.layout import StorePlace
from plimsoll.stores.addresses import read_address
from plimsoll.stores.port import StoreError
from plimsoll.stores.qdrant.library import (
    QdrantClient,
    QdrantException,
    ResponseHandlingException,
    UnexpectedResponse,
)
from plimsoll.stores.variables import value_of

Answer = TypeVar("Answer")
WHAT = "the address of the server, such as https://qdrant.example:6333"
LIMIT = 15
"""Seconds of one request."""


class QdrantServer:
    """A client with its errors. `shown` is what the server is called in a sentence."""

    def __init__(self, client: QdrantClient, shown: str, url: str, key: str) -> None:
        """`url` and `key` are the names of variables."""
        self.client, self.shown = client, shown
        self._url, self._key = url, key

    def require(self) -> None:
        """Raise StoreError unless the server answers and takes the key."""
        self.call(self.client.get_collections)

    def drop(self, place: StorePlace) -> None:
        """Delete the collection of a place."""
        self.call(lambda: self.client.delete_collection(collection_name(place)))

    def close(self) -> None:
        """Close the client."""
        self.client.close()

    def call(self, work: Callable[[], Answer]) -> Answer:
        """What the client answers. Raises StoreError."""
        try:
            return work()
        except UnexpectedResponse as error:
            raise self._refusal(error.status_code or 0) from error
        except (ResponseHandlingException, QdrantException, OSError, RuntimeError) as error:
            hint = f"start it, or correct {self._url}; what was stored in it is as it was"
            raise StoreError(f"{self.shown} does not answer", hint=hint) from error
        except ValueError as error:
            text = f"{self.shown} refuses: {str(error)[:200]}"
            raise StoreError(text, hint="see the log of the server") from error

    def _refusal(self, status: int) -> StoreError:
        if status in {401, 403}:
            text, hint = "refuses the key", f"correct {self._key or 'the file: `key: {env: NAME}`'}"
        elif status == 404:
            text, hint = "has no such collection any more", "build the index anew: plimsoll run --force NAME"
        else:
            text, hint = f"answers with {status}", "see the log of the server"
        return StoreError(f"{self.shown} {text}", hint=hint)


def collection_name(place: StorePlace) -> str:
    """The name of a collection, with the mark that makes it ours."""
    return f"{place.name}_{place.mark}"


def server_of(place: StorePlace) -> QdrantServer:
    """The server whose address is in the variable of a place. Raises StoreError."""
    address = value_of(place.url, WHAT)
    shown = _shown(address, place.url)
    key = value_of(place.key, "the key of the server") if place.key else None
    client = QdrantClient(url=address, api_key=key, timeout=LIMIT, check_compatibility=False)
    return QdrantServer(client, shown, place.url, place.key)


def _shown(address: str, variable: str) -> str:
    """What of an address may be shown. Raises StoreError for one that is none, or has a password in it."""
    hint = f"set it to {WHAT}; a key has a variable of its own: `key: {{env: NAME}}`"
    found = read_address(address, variable, "a server", hint)
    return f"Qdrant at {found.host}:{found.port or 6333}"
