"""Qdrant as a kind of store. Its library is imported when it is used."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING

from plimsoll.indexes.layout import StorePlace
from plimsoll.stores.opened import closed_on_failure
from plimsoll.stores.port import StoreError
from plimsoll.stores.variables import value_of

if TYPE_CHECKING:
    from plimsoll.stores.qdrant.collection import QdrantCollection

WHAT = "the address of the server, such as https://qdrant.example:6333"
LIMIT = 15
"""Seconds of one request."""


class QdrantKind:
    """Collections of a Qdrant server."""

    name = "qdrant"
    extra = "qdrant"

    def settle(self, place: StorePlace) -> StorePlace:
        """The same place, when the server answers."""
        found = self._collection(place, 0)
        try:
            found.require_server()
        finally:
            found.close()
        return place

    def create(self, place: StorePlace, dimension: int) -> QdrantCollection:
        """Make an empty collection."""
        made = self._collection(place, dimension)
        with closed_on_failure(made):
            made.create()
        return made

    def open(self, place: StorePlace, dimension: int) -> QdrantCollection:
        """Open a collection that was made before."""
        found = self._collection(place, dimension)
        with closed_on_failure(found):
            found.require_ours()
        return found

    def drop(self, place: StorePlace) -> None:
        """Delete the collection of a place. What is gone is no error."""
        found = self._collection(place, 0)
        try:
            found.drop()
        finally:
            found.close()

    def _collection(self, place: StorePlace, dimension: int) -> QdrantCollection:
        from plimsoll.stores.qdrant.collection import QdrantCollection
        from plimsoll.stores.qdrant.library import QdrantClient

        address = value_of(place.url, WHAT)
        shown = _shown(address, place.url)
        key = value_of(place.key, "the key of the server") if place.key else None
        client = QdrantClient(url=address, api_key=key, timeout=LIMIT, check_compatibility=False)
        return QdrantCollection(client, place, dimension, shown)


def _shown(address: str, variable: str) -> str:
    """What of an address may be shown. Raises StoreError for one that is none, or has a password in it."""
    try:
        parts = urllib.parse.urlsplit(address)
        port = parts.port
    except ValueError:
        parts, port = urllib.parse.urlsplit(""), None
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        hint = f"set it to {WHAT}; a key has a variable of its own: `key: {{env: NAME}}`"
        raise StoreError(f"the value of {variable} is no address of a server", hint=hint, lasting=True)
    return f"Qdrant at {parts.hostname}:{port or 6333}"


QDRANT = QdrantKind()
