"""The table of stores. A new one is a module in this package and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from plimsoll.stores.pinecone.kind import PINECONE
from plimsoll.stores.port import StoreError, StoreKind
from plimsoll.stores.postgres.kind import POSTGRES
from plimsoll.stores.qdrant.kind import QDRANT

KINDS: Mapping[str, StoreKind] = MappingProxyType({kind.name: kind for kind in (POSTGRES, QDRANT, PINECONE)})


def kind_named(name: str) -> StoreKind:
    """The kind of store of a built index. Raises StoreError for one that this version does not know."""
    if name not in KINDS:
        hint = f"known stores: {', '.join(KINDS)}; build the index anew with one of them"
        raise StoreError(f"the vectors of this index are in a store of the kind '{name}'", hint=hint, lasting=True)
    return KINDS[name]
