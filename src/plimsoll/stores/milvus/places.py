"""Collections of Milvus without their vectors. Its library is imported when it is used."""

from __future__ import annotations

from plimsoll.indexes.layout import StorePlace


class MilvusPlaces:
    """Collections of a Milvus server."""

    name = "milvus"
    extra = "milvus"

    def settle(self, place: StorePlace) -> StorePlace:
        """The same place, when the server answers."""
        from plimsoll.stores.milvus.server import MilvusServer

        server = MilvusServer(place)
        try:
            server.require()
        finally:
            server.close()
        return place

    def drop(self, place: StorePlace) -> None:
        """Delete the collection of a place."""
        from plimsoll.stores.milvus.server import MilvusServer

        server = MilvusServer(place)
        try:
            server.drop(place)
        finally:
            server.close()
