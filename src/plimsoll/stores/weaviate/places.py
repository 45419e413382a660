"""Collections of Weaviate without their vectors. Its libraries are imported when they are used."""

from __future__ import annotations

from plimsoll.indexes.layout import StorePlace


class WeaviatePlaces:
    """Collections of a Weaviate server."""

    name = "weaviate"
    extra = "weaviate"

    def settle(self, place: StorePlace) -> StorePlace:
        """The same place, when the server answers."""
        from plimsoll.stores.weaviate.server import server_of

        server = server_of(place)
        try:
            server.require()
        finally:
            server.close()
        return place

    def drop(self, place: StorePlace) -> None:
        """Delete the collection of a place."""
        from plimsoll.stores.weaviate.server import collection_name, server_of

        server = server_of(place)
        try:
            server.drop(collection_name(place))
        finally:
            server.close()
