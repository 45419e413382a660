"""Places at a server of vectors: it is asked, and let go of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from plimsoll.indexes.layout import StorePlace


class VectorServer(Protocol):
    """A server with collections of vectors."""

    def require(self) -> None:
        """Raise StoreError unless the server answers and takes the key."""

    def drop(self, place: StorePlace) -> None:
        """Delete the collection of a place. What is gone is no error."""

    def close(self) -> None:
        """Close the connection."""


class ServerPlaces(ABC):
    """Collections of one kind of server."""

    name: str
    extra: str

    @abstractmethod
    def server(self, place: StorePlace) -> VectorServer:
        """The server of a place. It imports the client library, which is an extra."""

    def settle(self, place: StorePlace) -> StorePlace:
        """The same place, when the server answers."""
        server = self.server(place)
        try:
            server.require()
        finally:
            server.close()
        return place

    def drop(self, place: StorePlace) -> None:
        """Delete the collection of a place."""
        server = self.server(place)
        try:
            server.drop(place)
        finally:
            server.close()
