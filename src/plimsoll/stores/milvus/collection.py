"""The vectors of one version of an index, in a collection of their own. Its name has the mark that makes it ours."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from plimsoll.indexes.layout import StorePlace
from plimsoll.indexes.vectors import CONNECTIVITY, EXPANSION_ADD
from plimsoll.stores.checks import require_dimension, require_numbers
from plimsoll.stores.milvus.library import DataType, MilvusClient
from plimsoll.stores.milvus.server import LIMIT, MilvusServer, collection_name
from plimsoll.stores.naming import shown
from plimsoll.stores.port import StoredVector, StoreError

if TYPE_CHECKING:
    from plimsoll.indexes.arrays import Array

ROW, GROUP, VECTOR = "chunk", "part", "embedding"
PUT_AT_ONCE, GOT_AT_ONCE = 256, 1000
MOST_FOUND = 16_384
"""Rows that one answer has at most."""
LEAST_EXPANSION = 128
"""How many vectors the graph looks at for one search at least."""
SEALED_LIMIT = 120.0
"""Seconds in which what was put in has to be sealed, and its graph begun."""
_METRIC = "IP"
"""The dot product of vectors of the length 1 is their cosine; for a cosine some servers change the vectors."""
ANEW = "build the index anew: plimsoll run --force NAME"


class MilvusCollection:
    """Rows whose key is the row of the chunk, with its group. What was written is read by whoever asks next."""

    def __init__(self, server: MilvusServer, place: StorePlace, dimension: int) -> None:
        self._server, self._place, self._dimension = server, place, dimension
        self._client = server.client
        self._name = collection_name(place)

    def create(self) -> None:
        """Make the collection. Raises StoreError when there is something of its name."""
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field(ROW, DataType.INT64, is_primary=True)
        schema.add_field(GROUP, DataType.INT64)
        schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=self._dimension)
        graph = MilvusClient.prepare_index_params()
        graph.add_index(
            VECTOR,
            index_type="HNSW",
            metric_type=_METRIC,
            params={"M": CONNECTIVITY, "efConstruction": EXPANSION_ADD},
        )
        if self._call(lambda: self._client.has_collection(self._name, timeout=LIMIT)):
            raise StoreError(
                f"{self._server.shown} has a collection of this name", where=self._where(), hint="run again"
            )
        self._call(
            lambda: self._client.create_collection(
                self._name, schema=schema, index_params=graph, consistency_level="Strong", timeout=LIMIT
            )
        )

    def require_ours(self) -> None:
        """Raise StoreError unless the collection is there and has vectors of this dimension. Has it loaded."""
        if not self._call(lambda: self._client.has_collection(self._name, timeout=LIMIT)):
            hint = f"correct {self._place.url}, or {ANEW}"
            raise StoreError(
                f"{self._server.shown} has not the vectors of this version", where=self._where(), hint=hint
            )
        found = self._call(lambda: self._client.describe_collection(self._name, timeout=LIMIT))
        size = _dimension(found)
        if size != self._dimension:
            text = f"the collection has vectors of {size} numbers, and the index has {self._dimension}"
            raise StoreError(text, where=self._where(), hint=ANEW)
        self._call(lambda: self._client.load_collection(self._name, timeout=LIMIT))

    def put(self, group: int, rows: Sequence[int], vectors: Array) -> None:
        """Put rows in, in place of those that are there."""
        require_dimension(int(vectors.shape[1]), self._dimension, self._place)
        require_numbers(vectors, self._place)
        for start in range(0, len(rows), PUT_AT_ONCE):
            records = [
                {ROW: row, GROUP: group, VECTOR: vector.tolist()}
                for row, vector in zip(
                    rows[start : start + PUT_AT_ONCE], vectors[start : start + PUT_AT_ONCE], strict=True
                )
            ]
            self._call(lambda records=records: self._client.upsert(self._name, records, timeout=LIMIT))  # type: ignore[misc]  # a default that binds the loop's variable

    def finish(self) -> None:
        """Have what was put in sealed, so that its graph is made."""
        self._call(lambda: self._client.flush(self._name, timeout=SEALED_LIMIT))

    def search(self, vector: Array, most: int, groups: Collection[int], hidden: Collection[int]) -> list[StoredVector]:
        """The nearest of these groups without `hidden`."""
        require_dimension(len(vector), self._dimension, self._place)
        condition = f"{GROUP} in {sorted(groups)}"
        if hidden:
            condition += f" and {ROW} not in {sorted(hidden)}"
        asked = min(most, MOST_FOUND)
        [found] = self._call(
            lambda: self._client.search(
                self._name,
                [vector.tolist()],
                filter=condition,
                limit=asked,
                output_fields=[ROW, GROUP, VECTOR],
                # The graph refuses to give more than it looks at.
                search_params={"metric_type": _METRIC, "params": {"ef": max(asked, LEAST_EXPANSION)}},
                anns_field=VECTOR,
                timeout=LIMIT,
            )
        )
        return self._read(found)

    def get(self, rows: Sequence[int]) -> list[StoredVector]:
        """The vectors of rows."""
        found = []
        for start in range(0, len(rows), GOT_AT_ONCE):
            some = list(rows[start : start + GOT_AT_ONCE])
            found += self._read(self._query(ids=some, output_fields=[ROW, GROUP, VECTOR]))
        return found

    def delete(self, rows: Sequence[int]) -> None:
        """Delete rows."""
        for start in range(0, len(rows), GOT_AT_ONCE):
            some = list(rows[start : start + GOT_AT_ONCE])
            self._call(lambda some=some: self._client.delete(self._name, ids=some, timeout=LIMIT))  # type: ignore[misc]  # as above

    def count(self) -> int:
        """The number of vectors."""
        [found] = self._query(filter="", output_fields=["count(*)"])
        return int(found["count(*)"])

    def drop(self) -> None:
        """Delete the collection."""
        self._server.drop(self._place)

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    def _query(self, **asked: Any) -> Any:  # Any: the library's words for a query, and a list of its own
        return self._call(lambda: self._client.query(self._name, timeout=LIMIT, **asked))

    def _call(self, work: Callable[[], Any]) -> Any:  # Any: the library gives no types
        return self._server.call(work)

    def _read(self, found: Iterable[Mapping[str, Any]]) -> list[StoredVector]:  # Any: as above
        import numpy as np

        try:
            return [
                StoredVector(int(each[ROW]), int(each[GROUP]), np.asarray(each[VECTOR], dtype=np.float32))
                for each in found
            ]
        except (KeyError, TypeError, ValueError, OverflowError):
            text = f"{self._server.shown} has a row in this collection that is not ours"
            raise StoreError(text, where=self._where(), hint=ANEW) from None

    def _where(self) -> str:
        return shown(self._place)


def _dimension(found: Mapping[str, Any]) -> int:  # Any: as above
    """The dimension of the vectors of a collection; 0 for one that is not ours."""
    sizes = [each["params"].get("dim") for each in found.get("fields", []) if each.get("name") == VECTOR]
    return int(sizes[0]) if sizes and sizes[0] is not None else 0
