"""Collections of Qdrant without their vectors. Its library is imported when it is used."""

from __future__ import annotations

from plimsoll.indexes.layout import StorePlace


class QdrantPlaces:
    """Collections of a Qdrant server."""

    name = "qdrant"
    extra = "qdrant"

    def settle(self, place: StorePlace) -> StorePlace:
        """The same place, when the server answers."""
        from plimsoll.stores.qdrant.server import server_of

        server = server_of(place)
        try:
            server.require()
        finally:
            server.close()
        return place

    def drop(self, place: StorePlace) -> None:
        """Delete the collection of a place."""
        from plimsoll.stores.qdrant.server import server_of

        server = server_of(place)
        try:
            server.drop(place)
        finally:
            server.close()
