"""The stores that the contract holds for, each as its tests make, close and open it."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from msgspec.structs import replace

from plimsoll.indexes.layout import StorePlace
from plimsoll.indexes.vectors import VectorIndex, VectorWriter
from plimsoll.stores.kinds import KINDS
from plimsoll.stores.naming import fresh_name
from plimsoll.stores.places import PLACES
from plimsoll.stores.port import StoredVector, StoreError, VectorStore

if TYPE_CHECKING:
    from plimsoll.indexes.arrays import Array
    from plimsoll.stores.qdrant.collection import QdrantCollection


class Places(Protocol):
    """Makes places of one kind of store."""

    def create(self, dimension: int) -> VectorStore: ...

    def reopen(self, dimension: int) -> VectorStore:
        """What was made last, by somebody else."""
        ...


class ServerPlaces:
    """Places of a server, whose address is in a variable."""

    def __init__(self, settings: StorePlace) -> None:
        self.place = PLACES[settings.kind].settle(settings)

    def create(self, dimension: int) -> VectorStore:
        name, mark = fresh_name("an index")
        self.place = replace(self.place, name=name, mark=mark)
        return KINDS[self.place.kind].create(self.place, dimension)

    def reopen(self, dimension: int) -> VectorStore:
        return KINDS[self.place.kind].open(self.place, dimension)


class PostgresPlaces(ServerPlaces):
    def __init__(self) -> None:
        super().__init__(StorePlace(kind="postgres", name="", mark="", url="TEST_DATABASE"))


class WeaviatePlaces(ServerPlaces):
    def __init__(self) -> None:
        super().__init__(StorePlace(kind="weaviate", name="", mark="", url="TEST_WEAVIATE", grpc="TEST_WEAVIATE_GRPC"))


class MilvusPlaces(ServerPlaces):
    def __init__(self) -> None:
        super().__init__(StorePlace(kind="milvus", name="", mark="", url="TEST_MILVUS"))


class PineconePlaces:
    def __init__(self) -> None:
        name, mark = fresh_name("an index")
        self.place = StorePlace(kind="pinecone", name=name, mark=mark, url="TEST_PINECONE", key="TEST_KEY")

    def create(self, dimension: int) -> VectorStore:
        return KINDS["pinecone"].create(self.place, dimension)

    def reopen(self, dimension: int) -> VectorStore:
        return KINDS["pinecone"].open(self.place, dimension)


class QdrantPlaces:
    """Qdrant's client with files in place of a server."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._place = StorePlace(kind="qdrant", name="t", mark=secrets.token_hex(8), url="TEST_QDRANT")
        self._last: VectorStore | None = None

    def create(self, dimension: int) -> VectorStore:
        made = self._open(dimension)
        made.create()
        return made

    def reopen(self, dimension: int) -> VectorStore:
        found = self._open(dimension)
        found.require_ours()
        return found

    def _open(self, dimension: int) -> QdrantCollection:
        from plimsoll.stores.qdrant.collection import QdrantCollection
        from plimsoll.stores.qdrant.library import QdrantClient
        from plimsoll.stores.qdrant.server import QdrantServer

        if self._last is not None:
            # The client lets one have the files at a time.
            self._last.close()
        client = QdrantClient(path=str(self._directory))
        self._last = found = QdrantCollection(QdrantServer(client, "Qdrant", "TEST_QDRANT", ""), self._place, dimension)
        return found


class FilePlaces:
    """The files of an index, which are written once, with what a search hides of them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._made: FileStore | None = None

    def create(self, dimension: int) -> VectorStore:
        self._made = FileStore(self._directory, dimension)
        return self._made

    def reopen(self, dimension: int) -> VectorStore:
        assert self._made is not None
        return self._made.again(dimension)


class FileStore:
    """The default store as the port has it: what was put in is written with `finish`, and what is deleted is hidden."""

    def __init__(self, directory: Path, dimension: int) -> None:
        self._directory, self._dimension = directory, dimension
        self._vectors: dict[int, tuple[int, Array]] = {}
        self._hidden: set[int] = set()
        self._index: VectorIndex | None = None
        self._numbers: list[int] = []

    def again(self, dimension: int) -> FileStore:
        if dimension != self._dimension:
            raise StoreError("the index was embedded by another model")
        other = FileStore(self._directory, dimension)
        other._vectors, other._hidden, other._numbers = dict(self._vectors), set(self._hidden), self._numbers
        other._index = VectorIndex(self._directory, dimension, len(self._numbers))
        return other

    def put(self, group: int, rows: Sequence[int], vectors: Array) -> None:
        if vectors.shape[1] != self._dimension:
            raise StoreError("vectors of another dimension")
        self._vectors |= {row: (group, vector) for row, vector in zip(rows, vectors, strict=True)}

    def finish(self) -> None:
        writer = VectorWriter(self._directory, self._dimension, threads=1)
        self._numbers = sorted({group for group, _ in self._vectors.values()})
        for number, group in enumerate(self._numbers):
            rows = np.asarray(sorted(row for row, (its, _) in self._vectors.items() if its == group))
            writer.write(number, rows, np.stack([self._vectors[int(row)][1] for row in rows]))
        self._index = VectorIndex(self._directory, self._dimension, len(self._numbers))

    def search(self, vector: Array, most: int, groups: Collection[int], hidden: Collection[int]) -> list[StoredVector]:
        if len(vector) != self._dimension:
            raise StoreError("a vector of another dimension")
        if self._index is None:
            return []
        numbers = [number for number, group in enumerate(self._numbers) if group in groups]
        near = self._index.search(vector, most, numbers, self._hidden | set(hidden))
        return [StoredVector(row, *self._vectors[row]) for row, _ in near]

    def get(self, rows: Sequence[int]) -> list[StoredVector]:
        return [
            StoredVector(row, *self._vectors[row]) for row in rows if row in self._vectors and row not in self._hidden
        ]

    def delete(self, rows: Sequence[int]) -> None:
        self._hidden |= set(rows)

    def count(self) -> int:
        return len(set(self._vectors) - self._hidden)

    def drop(self) -> None:
        self._vectors = {}

    def close(self) -> None:
        pass
