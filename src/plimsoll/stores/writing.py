"""Puts the vectors of a new version of an index into a store."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.errors import PlimsollError
from plimsoll.indexes.arrays import map_array, write_array
from plimsoll.indexes.layout import CHUNKS, STORED, ChunkColumn, StorePlace
from plimsoll.stores.digests import SIZE, vector_digest
from plimsoll.stores.naming import shown
from plimsoll.stores.port import StoreError, VectorStore
from plimsoll.stores.stored_vectors import StoredVectors

if TYPE_CHECKING:
    from plimsoll.indexes.arrays import Array

AT_ONCE = 2048
"""Vectors of one call of the store."""
READ_BACK = 1024
"""Vectors that are read back after a build: an even sample, of a small index all of them."""


class StoreWriter:
    """Writes to a place that was made for this version. One that fails takes with it what it has put there."""

    def __init__(self, store: VectorStore, place: StorePlace) -> None:
        self.place = place
        self._store = store
        self._digests: dict[int, bytes] = {}

    def write(self, group: int, rows: Array, vectors: Array) -> int:
        """Put a group in. Returns 0: what a store finds is its own affair."""
        numbers = [int(row) for row in rows]
        for start in range(0, len(numbers), AT_ONCE):
            some, values = numbers[start : start + AT_ONCE], vectors[start : start + AT_ONCE]
            self._store.put(group, some, values)
            self._digests |= {row: vector_digest(group, value) for row, value in zip(some, values, strict=True)}
        return 0

    def finish(self, directory: Path) -> None:
        """Write the digests, and read back what was put in. Raises StoreError when it is not there as it was."""
        import numpy as np

        self._store.finish()
        whole = b"".join(self._digests[row] for row in range(len(self._digests)))
        write_array(directory, STORED, np.frombuffer(whole, dtype=np.uint8).reshape(-1, SIZE))
        groups = map_array(directory, CHUNKS)[:, ChunkColumn.GROUP]
        stored = StoredVectors(self._store, shown(self.place), groups, map_array(directory, STORED))
        stored.require_whole()
        stored.require_unaltered(range(0, len(groups), max(1, len(groups) // READ_BACK)))

    def give_up(self) -> str:
        """Delete what was put in; returns why it is still there when it cannot be deleted, else an empty text."""
        try:
            self._store.drop()
        except StoreError as error:
            return error.on_one_line()
        finally:
            with contextlib.suppress(PlimsollError):
                self._store.close()
        return ""
