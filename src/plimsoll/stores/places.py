"""Places in stores without their vectors: what can be asked and deleted without a library of arrays.

A new store has a line here and one in `plimsoll.stores.kinds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from plimsoll.stores.milvus.places import MilvusPlaces
from plimsoll.stores.pinecone.places import PineconePlaces
from plimsoll.stores.port import unknown_store
from plimsoll.stores.postgres.places import PostgresPlaces
from plimsoll.stores.qdrant.places import QdrantPlaces
from plimsoll.stores.weaviate.places import WeaviatePlaces

if TYPE_CHECKING:
    from plimsoll.indexes.layout import StorePlace


class Places(Protocol):
    """The places of one kind of store."""

    name: str
    extra: str
    """The extra with its client, empty for one that needs none."""

    def settle(self, place: StorePlace) -> StorePlace:
        """A place whose settings are of the file, with all that is not said there; nothing is made.

        Raises StoreError when vectors could not be put there.
        """

    def drop(self, place: StorePlace) -> None:
        """Delete what was made for a place, and nothing else. What is gone is no error. Raises StoreError."""


_ALL: tuple[Places, ...] = (PostgresPlaces(), QdrantPlaces(), WeaviatePlaces(), MilvusPlaces(), PineconePlaces())
PLACES: Mapping[str, Places] = MappingProxyType({each.name: each for each in _ALL})


def places_named(kind: str) -> Places:
    """The places of a kind of store. Raises StoreError for one that this version does not know."""
    if kind not in PLACES:
        raise unknown_store(kind, PLACES)
    return PLACES[kind]
