"""Collections of Weaviate without their vectors. Its libraries are imported when they are used."""

from __future__ import annotations

from plimsoll.indexes.layout import StorePlace
from plimsoll.stores.server_places import ServerPlaces, VectorServer


class WeaviatePlaces(ServerPlaces):
    """Collections of a Weaviate server."""

    name = "weaviate"
    extra = "weaviate"

    def server(self, place: StorePlace) -> VectorServer:
        """The server of a place."""
        from plimsoll.stores.weaviate.server import server_of

        return server_of(place)
