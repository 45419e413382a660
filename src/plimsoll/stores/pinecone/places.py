"""Namespaces of Pinecone without their vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plimsoll.indexes.layout import StorePlace
from plimsoll.stores.port import StoreError

if TYPE_CHECKING:
    from plimsoll.stores.pinecone.client import PineconeClient

METRICS = ("dotproduct", "cosine")
"""Of vectors of the length 1 they say the same."""


class PineconePlaces:
    """Namespaces of an index that the user has made. They need no library but the HTTP client."""

    name = "pinecone"
    extra = ""

    def settle(self, place: StorePlace) -> StorePlace:
        """The same place, when the index answers and compares as ours are compared."""
        from plimsoll.stores.pinecone.client import PineconeClient

        client = PineconeClient(place.url, place.key)
        try:
            dimension_of(client)
        finally:
            client.close()
        return place

    def drop(self, place: StorePlace) -> None:
        """Delete the namespace of a place."""
        from plimsoll.stores.pinecone.client import PineconeClient

        client = PineconeClient(place.url, place.key)
        try:
            drop_namespace(client, place)
        finally:
            client.close()


def namespace_name(place: StorePlace) -> str:
    """The name of a namespace, with the mark that makes it ours."""
    return f"{place.name}_{place.mark}"


def drop_namespace(client: PineconeClient, place: StorePlace) -> None:
    """Delete a namespace. What is gone is no error."""
    client.post("/vectors/delete", {"namespace": namespace_name(place), "deleteAll": True}, absent=True)


def dimension_of(client: PineconeClient) -> object:
    """The dimension of the index. Raises StoreError for one that compares otherwise than ours are compared."""
    stats = client.post("/describe_index_stats", {})
    metric = stats.get("metric")
    if metric is not None and metric not in METRICS:
        hint = f"make an index with the metric {METRICS[0]}"
        raise StoreError(f"{client.shown} is an index of the metric {metric}", hint=hint, lasting=True)
    return stats.get("dimension")
