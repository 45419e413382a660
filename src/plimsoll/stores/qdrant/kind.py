"""Qdrant as a kind of store. Its library is imported when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plimsoll.indexes.layout import StorePlace
from plimsoll.stores.opened import closed_on_failure

if TYPE_CHECKING:
    from plimsoll.stores.qdrant.collection import QdrantCollection


class QdrantKind:
    """Collections of a Qdrant server."""

    def create(self, place: StorePlace, dimension: int) -> QdrantCollection:
        """Make an empty collection."""
        made = _collection(place, dimension)
        with closed_on_failure(made):
            made.create()
        return made

    def open(self, place: StorePlace, dimension: int) -> QdrantCollection:
        """Open a collection that was made before."""
        found = _collection(place, dimension)
        with closed_on_failure(found):
            found.require_ours()
        return found


def _collection(place: StorePlace, dimension: int) -> QdrantCollection:
    from plimsoll.stores.qdrant.collection import QdrantCollection
    from plimsoll.stores.qdrant.server import server_of

    return QdrantCollection(server_of(place), place, dimension)
