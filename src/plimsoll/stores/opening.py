"""Opens indexes for searches, also those whose vectors are in a store."""

from __future__ import annotations

from pathlib import Path

from plimsoll.errors import PlimsollError
from plimsoll.indexes.arrays import map_array
from plimsoll.indexes.layout import CHUNKS, STORED, ChunkColumn, IndexFacts
from plimsoll.indexes.reading import SearchIndex, open_registered
from plimsoll.stores.digests import SIZE
from plimsoll.stores.kinds import kind_named
from plimsoll.stores.naming import shown
from plimsoll.stores.stored_vectors import StoredVectors


def open_index(directory: Path, threads: int = 0, changes: Path | None = None) -> SearchIndex:
    """Open an index as it is registered, with the changes of its journal.

    Raises PlimsollError, also for a store that cannot be reached or has not what was built, and MissingExtra.
    """
    index = open_registered(directory, threads, changes, open_vectors)
    index.catch_up()
    if isinstance(index.vectors, StoredVectors):
        index.vectors.require_whole(index.hidden)
    return index


def open_vectors(directory: Path, facts: IndexFacts) -> StoredVectors:
    """The vectors of an index whose facts name a store. Raises StoreError, PlimsollError, MissingExtra."""
    place = facts.store
    if place is None:
        raise PlimsollError("the vectors of this index are in its files", where=str(directory))
    try:
        groups = map_array(directory, CHUNKS)[:, ChunkColumn.GROUP]
        digests = map_array(directory, STORED)
    except (OSError, ValueError) as error:
        hint = "run again, to build the index anew"
        raise PlimsollError(f"the index cannot be read: {error}", where=str(directory), hint=hint) from error
    if digests.shape != (len(groups), SIZE):
        raise PlimsollError(f"{STORED}.npy is not of the chunks of this index", where=str(directory))
    return StoredVectors(kind_named(place.kind).open(place, facts.dimension), shown(place), groups, digests)
