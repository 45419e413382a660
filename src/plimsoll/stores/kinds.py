"""The table of stores, for who puts vectors in and asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from plimsoll.stores.milvus.kind import MilvusKind
from plimsoll.stores.pinecone.kind import PineconeKind
from plimsoll.stores.port import StoreKind, unknown_store
from plimsoll.stores.postgres.kind import PostgresKind
from plimsoll.stores.qdrant.kind import QdrantKind
from plimsoll.stores.weaviate.kind import WeaviateKind

_ALL: Mapping[str, StoreKind] = {
    "postgres": PostgresKind(),
    "qdrant": QdrantKind(),
    "weaviate": WeaviateKind(),
    "milvus": MilvusKind(),
    "pinecone": PineconeKind(),
}
KINDS: Mapping[str, StoreKind] = MappingProxyType(_ALL)


def kind_named(name: str) -> StoreKind:
    """The kind of store of a built index. Raises StoreError for one that this version does not know."""
    if name not in KINDS:
        raise unknown_store(name, KINDS)
    return KINDS[name]
