"""The vectors of one version of an index, in a collection of their own. Its name has the mark that makes it ours."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from plimsoll.indexes.layout import StorePlace
from plimsoll.indexes.vectors import CONNECTIVITY, EXPANSION_ADD
from plimsoll.stores.checks import require_dimension, require_numbers
from plimsoll.stores.naming import shown
from plimsoll.stores.port import StoredVector, StoreError
from plimsoll.stores.qdrant.library import models
from plimsoll.stores.qdrant.server import QdrantServer, collection_name

if TYPE_CHECKING:
    from plimsoll.indexes.arrays import Array

AT_ONCE = 256
"""Points of one request: it has a limit of 32 MB."""


class QdrantCollection:
    """Points whose id is the row, with the group as payload."""

    def __init__(self, server: QdrantServer, place: StorePlace, dimension: int) -> None:
        self._server, self._place, self._dimension = server, place, dimension
        self._client, self._call = server.client, server.call
        self._name = collection_name(place)

    def create(self) -> None:
        """Make the collection. Raises StoreError when there is something of its name."""

        def work() -> None:
            # The dot product of vectors of the length 1 is their cosine; for a cosine the server changes the vectors.
            self._client.create_collection(
                self._name,
                vectors_config=models.VectorParams(size=self._dimension, distance=models.Distance.DOT),
                hnsw_config=models.HnswConfigDiff(m=CONNECTIVITY, ef_construct=EXPANSION_ADD),
            )

        self._call(work)

    def require_ours(self) -> None:
        """Raise StoreError unless the collection is there and has vectors of this dimension."""
        if not self._call(lambda: self._client.collection_exists(self._name)):
            hint = f"correct {self._place.url}, or build the index anew: plimsoll run --force NAME"
            raise StoreError(
                f"{self._server.shown} has not the vectors of this version", where=self._where(), hint=hint
            )
        found = self._call(lambda: self._client.get_collection(self._name)).config.params.vectors
        size = getattr(found, "size", 0)
        if size != self._dimension:
            text = f"the collection has vectors of {size} numbers, and the index has {self._dimension}"
            raise StoreError(text, where=self._where(), hint="build the index anew: plimsoll run --force NAME")

    def put(self, group: int, rows: Sequence[int], vectors: Array) -> None:
        """Put rows in, in place of those that are there."""
        require_dimension(int(vectors.shape[1]), self._dimension, self._place)
        require_numbers(vectors, self._place)
        for start in range(0, len(rows), AT_ONCE):
            points = [
                models.PointStruct(id=row, vector=vector.tolist(), payload={"part": group})
                for row, vector in zip(rows[start : start + AT_ONCE], vectors[start : start + AT_ONCE], strict=True)
            ]
            self._call(lambda points=points: self._client.upsert(self._name, points=points, wait=True))  # type: ignore[misc]  # a default that binds the loop's variable

    def finish(self) -> None:
        """Index the group, so that searches skip what a caller may not see."""
        self._call(
            lambda: self._client.create_payload_index(
                self._name, field_name="part", field_schema=models.PayloadSchemaType.INTEGER, wait=True
            )
        )

    def search(self, vector: Array, most: int, groups: Collection[int], hidden: Collection[int]) -> list[StoredVector]:
        """The nearest of these groups without `hidden`."""
        require_dimension(len(vector), self._dimension, self._place)
        condition = models.Filter(
            must=[models.FieldCondition(key="part", match=models.MatchAny(any=sorted(groups)))],
            must_not=[models.HasIdCondition(has_id=sorted(hidden))] if hidden else None,
        )
        found = self._call(
            lambda: self._client.query_points(
                self._name,
                query=vector.tolist(),
                query_filter=condition,
                limit=most,
                with_vectors=True,
                with_payload=True,
            )
        )
        return [self._read(point) for point in found.points]

    def get(self, rows: Sequence[int]) -> list[StoredVector]:
        """The vectors of rows."""
        wanted = list(rows)
        found = self._call(lambda: self._client.retrieve(self._name, ids=wanted, with_vectors=True, with_payload=True))
        return [self._read(point) for point in found]

    def delete(self, rows: Sequence[int]) -> None:
        """Delete rows."""
        selected = models.PointIdsList(points=list(rows))
        self._call(lambda: self._client.delete(self._name, points_selector=selected, wait=True))

    def count(self) -> int:
        """The number of vectors."""
        found: int = self._call(lambda: self._client.count(self._name, exact=True)).count
        return found

    def drop(self) -> None:
        """Delete the collection."""
        self._server.drop(self._place)

    def close(self) -> None:
        """Close the client."""
        self._server.close()

    def _read(self, point: Any) -> StoredVector:  # Any: the library has a type for each kind of answer
        import numpy as np

        return StoredVector(int(point.id), _group(point), np.asarray(point.vector, dtype=np.float32))

    def _where(self) -> str:
        return shown(self._place)


def _group(point: Any) -> int:  # Any: as above
    """The group of a point; −1 for a point that is not ours."""
    found = (point.payload or {}).get("part")
    return found if type(found) is int else -1
