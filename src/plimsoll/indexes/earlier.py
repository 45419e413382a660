"""Takes vectors from an earlier version of an index, so that only what changed is embedded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.errors import PlimsollError
from plimsoll.indexes import layout
from plimsoll.indexes.arrays import map_array
from plimsoll.indexes.layout import ChunkColumn, read_facts
from plimsoll.indexes.vectors import OpensVectors, VectorIndex, Vectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plimsoll.indexes.arrays import Array


class Earlier:
    """The vectors of an index by the digest of what was embedded."""

    def __init__(self, directory: Path, outside: OpensVectors | None = None) -> None:
        """Open an index that has vectors. Raises PlimsollError for one that cannot be read.

        `outside` opens those that are in a store.
        """
        self.facts = read_facts(directory, layout.WITH_VECTORS)
        self._groups = map_array(directory, layout.CHUNKS)[:, ChunkColumn.GROUP]
        digests = bytes(map_array(directory, layout.EMBEDDED))
        size = len(digests) // max(1, self.facts.chunks)
        self._rows = {digests[row * size : (row + 1) * size]: row for row in range(self.facts.chunks)}
        self._vectors: Vectors
        if self.facts.store is None:
            self._vectors = VectorIndex(directory, self.facts.dimension, len(self.facts.groups))
        elif outside is not None:
            self._vectors = outside(directory, self.facts)
        else:
            raise PlimsollError("its vectors are in a store, which is not asked for them", where=str(directory))

    def fill(self, vectors: Array, digests: Sequence[bytes]) -> list[int]:
        """Fill in the vectors of all digests that the index has; returns the rows that are still missing."""
        missing: list[int] = []
        wanted: dict[int, list[tuple[int, int]]] = {}
        for row, digest in enumerate(digests):
            known = self._rows.get(digest)
            if known is None:
                missing.append(row)
            else:
                wanted.setdefault(int(self._groups[known]), []).append((row, known))
        for group, pairs in wanted.items():
            try:
                found = self._vectors.vectors(group, [known for _, known in pairs])
            except PlimsollError:
                # A store that is gone, or has other vectors than were built: they are embedded anew.
                found = {}
            for row, known in pairs:
                if known in found:
                    vectors[row] = found[known]
                else:
                    missing.append(row)
        return sorted(missing)
