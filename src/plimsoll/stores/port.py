"""What every store of vectors does."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from plimsoll.errors import TargetError

if TYPE_CHECKING:
    from plimsoll.indexes.arrays import Array
    from plimsoll.indexes.layout import StorePlace


class StoreError(TargetError):
    """A store that cannot be reached, refuses, or has other vectors than those that were put in."""


class StoredVector(NamedTuple):
    """A vector as the store gives it, float32."""

    row: int
    group: int
    vector: Array


class VectorStore(Protocol):
    """The vectors of one version of an index, under a name of their own. Threads may share it.

    All calls end within a limit and raise StoreError. Vectors have the length 1 or 0, and their dot product is how near
    they are.
    """

    def put(self, group: int, rows: Sequence[int], vectors: Array) -> None:
        """Put the vectors of rows in, in place of those that the rows have."""

    def finish(self) -> None:
        """Make what was put in fit for searches."""

    def search(self, vector: Array, most: int, groups: Collection[int], hidden: Collection[int]) -> list[StoredVector]:
        """The nearest of these groups without `hidden`, nearest first.

        As many as there are, up to `most`: what is left out takes the place of no other.
        """

    def get(self, rows: Sequence[int]) -> list[StoredVector]:
        """The vectors of rows, in any order; those that are gone are left out."""

    def delete(self, rows: Sequence[int]) -> None:
        """Delete rows. Those that are gone are no error."""

    def count(self) -> int:
        """The number of vectors."""

    def drop(self) -> None:
        """Delete all of it, and nothing that was not made for this place. What is gone is no error."""

    def close(self) -> None:
        """Close what is open."""


class StoreKind(Protocol):
    """One kind of store. A new one is a package, and a line in `plimsoll.stores.kinds` and `plimsoll.stores.places`."""

    def create(self, place: StorePlace, dimension: int) -> VectorStore:
        """Make an empty place. Raises StoreError, also when something has its name already."""

    def open(self, place: StorePlace, dimension: int) -> VectorStore:
        """Open what was made. Raises StoreError when it is gone or another."""


def unknown_store(kind: str, known: Iterable[str]) -> StoreError:
    """The error for vectors that are in a store of another version of plimsoll."""
    hint = f"known stores: {', '.join(known)}; build the index anew with one of them"
    return StoreError(f"the vectors of this index are in a store of the kind '{kind}'", hint=hint, lasting=True)
