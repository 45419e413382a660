"""The vectors of one version of an index, in a namespace of their own. Its name has the mark that makes it ours."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from plimsoll.indexes.layout import StorePlace
from plimsoll.stores.checks import require_dimension, require_numbers
from plimsoll.stores.naming import shown
from plimsoll.stores.pinecone.client import PineconeClient
from plimsoll.stores.pinecone.places import dimension_of, drop_namespace, namespace_name
from plimsoll.stores.port import StoredVector, StoreError
from plimsoll.stores.requests import Answer
from plimsoll.waits import waiting_for

if TYPE_CHECKING:
    from plimsoll.indexes.arrays import Array

PUT_AT_ONCE, GOT_AT_ONCE, DELETED_AT_ONCE = 100, 100, 1000
FOUND_AT_ONCE = 200
"""Results of one query: an answer with vectors has at most 4 MB."""
MOST_EXCLUDED = 10_000
"""Values of one condition."""
VISIBLE_LIMIT = 180.0
"""Seconds after which what was put in has to be counted: the service says so later than it takes it."""
_AGAIN = 1.0


class PineconeNamespace:
    """Records whose id is the row, with the row and the group as metadata."""

    def __init__(self, client: PineconeClient, place: StorePlace, dimension: int) -> None:
        self._client, self._place, self._dimension = client, place, dimension
        self._name = namespace_name(place)
        self._put: set[int] = set()

    def require_index(self) -> None:
        """Raise StoreError unless there is an index that compares as ours are compared, and has this dimension."""
        dimension = dimension_of(self._client)
        if dimension != self._dimension:
            text = f"{self._client.shown} is an index of {dimension} numbers, and the model gives {self._dimension}"
            hint = f"make an index of {self._dimension} numbers, and set {self._place.url} to its host"
            raise StoreError(text, hint=hint, lasting=True)

    def require_ours(self) -> None:
        """Raise StoreError unless the namespace is there, in an index of this dimension."""
        self.require_index()
        if not self.count():
            hint = f"correct {self._place.url}, or build the index anew: plimsoll run --force NAME"
            raise StoreError(
                f"{self._client.shown} has not the vectors of this version", where=self._where(), hint=hint
            )

    def put(self, group: int, rows: Sequence[int], vectors: Array) -> None:
        """Put rows in, in place of those that are there."""
        require_dimension(int(vectors.shape[1]), self._dimension, self._place)
        require_numbers(vectors, self._place)
        for start in range(0, len(rows), PUT_AT_ONCE):
            some = zip(rows[start : start + PUT_AT_ONCE], vectors[start : start + PUT_AT_ONCE], strict=True)
            records = [
                {"id": str(row), "values": vector.tolist(), "metadata": {"chunk": row, "part": group}}
                for row, vector in some
            ]
            self._client.post("/vectors/upsert", {"namespace": self._name, "vectors": records})
        self._put.update(rows)

    def finish(self) -> None:
        """Wait until what was put in is counted."""
        deadline = time.monotonic() + VISIBLE_LIMIT
        with waiting_for(lambda: f"{self._client.shown} to count {len(self._put)} vectors"):
            while (count := self.count()) < len(self._put):
                if time.monotonic() > deadline:
                    text = f"{self._client.shown} counts {count} of {len(self._put)} vectors after {VISIBLE_LIMIT:g} s"
                    raise StoreError(text, where=self._where(), hint="run again")
                time.sleep(_AGAIN)

    def search(self, vector: Array, most: int, groups: Collection[int], hidden: Collection[int]) -> list[StoredVector]:
        """The nearest of these groups without `hidden`, some at a time."""
        require_dimension(len(vector), self._dimension, self._place)
        found: list[StoredVector] = []
        left_out = set(hidden)
        while len(found) < most:
            if len(left_out) > MOST_EXCLUDED:
                text = f"{len(left_out)} vectors are to be left out of a search, and it takes {MOST_EXCLUDED}"
                raise StoreError(text, where=self._where(), hint="build the index anew: plimsoll run --force NAME")
            asked = min(FOUND_AT_ONCE, most - len(found))
            condition: dict[str, object] = {"part": {"$in": sorted(groups)}}
            if left_out:
                condition["chunk"] = {"$nin": sorted(left_out)}
            answer = self._client.post(
                "/query",
                {
                    "namespace": self._name,
                    "vector": vector.tolist(),
                    "topK": asked,
                    "filter": condition,
                    "includeValues": True,
                    "includeMetadata": True,
                },
            )
            some = [self._read(each) for each in _listed(answer, "matches")]
            found += some
            new = {each.row for each in some} - left_out
            left_out |= new
            # An answer of nothing new would have it ask for ever.
            if len(some) < asked or not new:
                break
        return found

    def get(self, rows: Sequence[int]) -> list[StoredVector]:
        """The vectors of rows."""
        found = []
        for start in range(0, len(rows), GOT_AT_ONCE):
            ids = [("ids", str(row)) for row in rows[start : start + GOT_AT_ONCE]]
            answer = self._client.get("/vectors/fetch", [*ids, ("namespace", self._name)])
            vectors = answer.get("vectors") or {}
            found += [self._read(each) for each in (vectors.values() if isinstance(vectors, dict) else ())]
        return found

    def delete(self, rows: Sequence[int]) -> None:
        """Delete rows."""
        for start in range(0, len(rows), DELETED_AT_ONCE):
            ids = [str(row) for row in rows[start : start + DELETED_AT_ONCE]]
            # The namespace is gone, or was never written to, when there is nothing.
            self._client.post("/vectors/delete", {"namespace": self._name, "ids": ids}, absent=True)

    def count(self) -> int:
        """The number of vectors, as the service counts them by now."""
        spaces = self._client.post("/describe_index_stats", {}).get("namespaces") or {}
        found = spaces.get(self._name) if isinstance(spaces, dict) else None
        count = found.get("vectorCount") if isinstance(found, dict) else 0
        return count if type(count) is int else 0

    def drop(self) -> None:
        """Delete the namespace."""
        drop_namespace(self._client, self._place)

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def _read(self, record: object) -> StoredVector:
        import numpy as np

        try:
            metadata, values = record["metadata"], record["values"]  # type: ignore[index]  # the except says what is none
            row, group = int(record["id"]), int(metadata["part"])  # type: ignore[index]
            return StoredVector(row, group, np.asarray(values, dtype=np.float32))
        except (TypeError, KeyError, ValueError, OverflowError) as error:
            text = f"{self._client.shown} has a record in this namespace that is not ours"
            raise StoreError(
                text, where=self._where(), hint="build the index anew: plimsoll run --force NAME"
            ) from error

    def _where(self) -> str:
        return shown(self._place)


def _listed(answer: Answer, name: str) -> Iterator[Mapping[str, object]]:
    found = answer.get(name)
    yield from found if isinstance(found, list) else ()
