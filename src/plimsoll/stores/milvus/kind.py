"""Milvus as a kind of store. Its library is imported when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plimsoll.indexes.layout import StorePlace
from plimsoll.stores.opened import closed_on_failure

if TYPE_CHECKING:
    from plimsoll.stores.milvus.collection import MilvusCollection


class MilvusKind:
    """Collections of a Milvus server."""

    def create(self, place: StorePlace, dimension: int) -> MilvusCollection:
        """Make an empty collection."""
        made = _collection(place, dimension)
        with closed_on_failure(made):
            made.create()
        return made

    def open(self, place: StorePlace, dimension: int) -> MilvusCollection:
        """Open a collection that was made before."""
        found = _collection(place, dimension)
        with closed_on_failure(found):
            found.require_ours()
        return found


def _collection(place: StorePlace, dimension: int) -> MilvusCollection:
    from plimsoll.stores.milvus.collection import MilvusCollection
    from plimsoll.stores.milvus.server import MilvusServer

    return MilvusCollection(MilvusServer(place), place, dimension)
