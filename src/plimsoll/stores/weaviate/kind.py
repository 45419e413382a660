"""Weaviate as a kind of store. Its libraries are imported when they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plimsoll.indexes.layout import StorePlace
from plimsoll.stores.opened import closed_on_failure

if TYPE_CHECKING:
    from plimsoll.stores.weaviate.collection import WeaviateCollection


class WeaviateKind:
    """Collections of a Weaviate server."""

    def create(self, place: StorePlace, dimension: int) -> WeaviateCollection:
        """Make an empty collection."""
        made = _collection(place, dimension)
        with closed_on_failure(made):
            made.create()
        return made

    def open(self, place: StorePlace, dimension: int) -> WeaviateCollection:
        """Open a collection that was made before."""
        found = _collection(place, dimension)
        with closed_on_failure(found):
            found.require_ours()
        return found


def _collection(place: StorePlace, dimension: int) -> WeaviateCollection:
    from plimsoll.stores.weaviate.collection import WeaviateCollection
    from plimsoll.stores.weaviate.server import server_of

    return WeaviateCollection(server_of(place), place, dimension)
