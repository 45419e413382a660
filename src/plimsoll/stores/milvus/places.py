"""Collections of Milvus without their vectors. Its library is imported when it is used."""

from __future__ import annotations

from plimsoll.indexes.layout import StorePlace
from plimsoll.stores.server_places import ServerPlaces, VectorServer


class MilvusPlaces(ServerPlaces):
    """Collections of a Milvus server."""

    name = "milvus"
    extra = "milvus"

    def server(self, place: StorePlace) -> VectorServer:
        """The server of a place."""
        from plimsoll.stores.milvus.server import MilvusServer

        return MilvusServer(place)
