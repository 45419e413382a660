"""The vectors of an index in a store, as searches of the index ask for them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from typing import TYPE_CHECKING

from plimsoll.stores.digests import vector_digest
from plimsoll.stores.port import StoredVector, StoreError, VectorStore

if TYPE_CHECKING:
    from plimsoll.indexes.arrays import Array

ANEW = "build the index anew: plimsoll run --force NAME"


class StoredVectors:
    """`groups` has the group of each row and `digests` the digest of each vector, both from signed files.

    Nothing that the store says is taken for granted: a row that was not asked for, or a vector that is not the one that
    was put in, is an error and not a result. How near a vector is, is computed here.
    """

    def __init__(self, store: VectorStore, where: str, groups: Array, digests: Array) -> None:
        self._store, self._where = store, where
        self._groups, self._digests = groups, digests

    def search(
        self, vector: Array, most: int, groups: Iterable[int], hidden: Set[int] = frozenset()
    ) -> list[tuple[int, float]]:
        """The nearest rows in these groups with their similarity (−1 to 1), nearest first, without `hidden`."""
        wanted = frozenset(groups)
        if not wanted:
            return []
        found: dict[int, float] = {}
        for each in self._store.search(vector, most, wanted, hidden):
            self._require_ours(each)
            if each.group not in wanted or each.row in hidden:
                raise self._error(f"the store gave chunk {each.row}, which was not asked for")
            found[each.row] = float(each.vector @ vector)
        return sorted(found.items(), key=lambda each: (-each[1], each[0]))[:most]

    def similarities(self, vector: Array, rows: Mapping[int, Sequence[int]]) -> dict[int, float]:
        """The similarity of a vector to rows, which are given by their groups."""
        wanted = [row for some in rows.values() for row in some]
        return {each.row: float(each.vector @ vector) for each in self._got(wanted)}

    def vectors(self, group: int, rows: Sequence[int]) -> Mapping[int, Array]:
        """The stored vectors of rows, float32; those that are gone are left out."""
        return {each.row: each.vector for each in self._got(rows)}

    def forget(self, rows: Sequence[int]) -> None:
        """Delete rows from the store."""
        if rows:
            self._store.delete(rows)

    def require_whole(self, gone: Collection[int] = ()) -> None:
        """Raise StoreError unless the store has as many vectors as rows; those of `gone` may be missing."""
        count, most = self._store.count(), len(self._groups)
        least = most - len(gone)
        if count < least:
            raise self._error(f"{least - count} of {most} vectors are missing in the store")
        if count > most:
            raise self._error(f"the store has {count - most} vectors that are not of this version")

    def require_unaltered(self, rows: Sequence[int]) -> None:
        """Raise StoreError unless the store has these vectors as they were put in."""
        found = {each.row for each in self._got(rows)}
        if missing := set(rows) - found:
            raise self._error(f"the vector of chunk {min(missing)} is missing in the store")

    def close(self) -> None:
        """Close what is open."""
        self._store.close()

    def _got(self, rows: Sequence[int]) -> list[StoredVector]:
        if not rows:
            return []
        asked = frozenset(rows)
        found = self._store.get(rows)
        for each in found:
            self._require_ours(each)
            if each.row not in asked:
                raise self._error(f"the store gave chunk {each.row}, which was not asked for")
        return found

    def _require_ours(self, each: StoredVector) -> None:
        """Raise StoreError for a vector that is not the one that was put in for its row."""
        if not 0 <= each.row < len(self._groups):
            raise self._error(f"the store has a chunk {each.row}, and the index has {len(self._groups)}")
        signed = bytes(self._digests[each.row])
        if each.group != int(self._groups[each.row]) or vector_digest(each.group, each.vector) != signed:
            raise self._error(f"the vector of chunk {each.row} is not the one that was put in")

    def _error(self, message: str) -> StoreError:
        return StoreError(message, where=self._where, hint=ANEW, lasting=True)
