"""Pinecone as a kind of store. It needs no library but the HTTP client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plimsoll.indexes.layout import StorePlace
from plimsoll.stores.opened import closed_on_failure

if TYPE_CHECKING:
    from plimsoll.stores.pinecone.namespace import PineconeNamespace


class PineconeKind:
    """Namespaces of an index that the user has made."""

    def create(self, place: StorePlace, dimension: int) -> PineconeNamespace:
        """An empty namespace, which is made with the first vector."""
        made = self._namespace(place, dimension)
        with closed_on_failure(made):
            made.require_index()
        return made

    def open(self, place: StorePlace, dimension: int) -> PineconeNamespace:
        """Open a namespace that was made before."""
        found = self._namespace(place, dimension)
        with closed_on_failure(found):
            found.require_ours()
        return found

    def _namespace(self, place: StorePlace, dimension: int) -> PineconeNamespace:
        from plimsoll.stores.pinecone.client import PineconeClient
        from plimsoll.stores.pinecone.namespace import PineconeNamespace

        return PineconeNamespace(PineconeClient(place.url, place.key), place, dimension)
