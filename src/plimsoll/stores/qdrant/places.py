"""Collections of Qdrant without their vectors. Its library is imported when it is used."""

from __future__ import annotations

from plimsoll.indexes.layout import StorePlace
from plimsoll.stores.server_places import ServerPlaces, VectorServer


class QdrantPlaces(ServerPlaces):
    """Collections of a Qdrant server."""

    name = "qdrant"
    extra = "qdrant"

    def server(self, place: StorePlace) -> VectorServer:
        """The server of a place."""
        from plimsoll.stores.qdrant.server import server_of

        return server_of(place)
